// The page: the list of streams, the views, and the address that keeps both.

import { Address, fragment, textOf, viewsOf } from "./address.js";
import { KEYS } from "./keys.js";
import { List } from "./list.js";
import { followStreams, tokenOf } from "./server.js";
import { Theme } from "./theme.js";
import { View } from "./view.js";

const search = document.getElementById("search");
const views = document.getElementById("views");
const message = document.getElementById("message");
const help = document.getElementById("help");
const open = [];
const address = new Address();
const given = fragment();
const theme = new Theme(given.get("theme"), keep);
const list = new List(document.getElementById("streams"), (name) => show(name));

/** Views and their settings in the address, behind the token. */
function keep() {
  const parts = new URLSearchParams({ token: tokenOf() });
  if (theme.word !== "system") parts.append("theme", theme.word);
  for (const view of open) parts.append("view", textOf(view));
  address.put(parts);
}

function show(stream, settings = {}) {
  const view = new View(stream, settings, keep, (closed) => {
    closed.close();
    const place = open.indexOf(closed);
    open.splice(place, 1);
    keep();
    // Who works with keys goes on beside it.
    (open[place] ?? open[place - 1])?.focus();
    if (!open.length) search.focus();
  });
  open.push(view);
  views.append(view.element);
  keep();
  view.focus();
}

function tell() {
  if (message.textContent !== list.said) message.textContent = list.said;
}

function showHelp() {
  const table = document.createElement("table");
  for (const [key, does] of KEYS) {
    const line = table.insertRow();
    const cell = line.insertCell();
    cell.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    line.insertCell().textContent = does;
  }
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  close.addEventListener("click", () => help.close());
  help.replaceChildren(close, table);
  help.showModal();
}

document.getElementById("help-button").before(theme.element);
document.getElementById("help-button").addEventListener("click", showHelp);
search.addEventListener("input", () => {
  list.search(search.value);
  tell();
});
document.addEventListener("keydown", (event) => {
  if (/^(INPUT|SELECT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") showHelp();
  else if (event.key === "/") {
    event.preventDefault();
    search.focus();
  }
});

// Another address of this page in the same tab, with another token or other views: browsers do not load it for that.
addEventListener("hashchange", () => location.reload());
for (const { stream, settings } of viewsOf(given)) show(stream, settings);
followStreams((streams) => {
  list.take(streams);
  tell();
}, (why) => (message.textContent = why));
