// Small helpers for elements of the page.

/** Make an element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Make an element of SVG with attributes. */
export function draw(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** Make a button. */
export function button(label, title, act) {
  const made = make("button", { type: "button", textContent: label, title });
  made.addEventListener("click", act);
  return made;
}

/** Make a menu with a name for those who cannot see it. */
export function menu(words, label, value, act) {
  const made = make("select", { title: label }, ...words.map((word) => make("option", { textContent: word })));
  made.setAttribute("aria-label", label);
  made.value = value;
  made.addEventListener("change", () => act(made.value));
  return made;
}

/** Let the browser save content as a file. */
export function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Ask for a file of this machine; its content as an ArrayBuffer, with its name. */
export function openFile(accept, take) {
  const input = make("input", { type: "file", accept });
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (file) take(await file.arrayBuffer(), file.name);
  });
  input.click();
}

/** A name as part of an address; also one with bytes that are no text, which come as halves of pairs of UTF-16. */
export function encoded(name) {
  return name.replace(/[^\ud800-\udfff]+|[\ud800-\udbff][\udc00-\udfff]/g, encodeURIComponent)
    .replace(/[\udc80-\udcff]/g, (half) => `%${(half.charCodeAt(0) - 0xdc00).toString(16).toUpperCase()}`);
}
