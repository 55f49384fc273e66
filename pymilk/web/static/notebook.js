// The view in a notebook: what anywidget loads. The modules of the page come with the widget, since a notebook has no
// server of ours to load them from; frames and credit go through its channel, as docs/web.md says of the WebSocket.

/** Give each module an address of its own, with those that it imports before it. */
function addressesOf(modules) {
  const addresses = {};
  const addressOf = (name) => {
    addresses[name] ??= URL.createObjectURL(new Blob(
      [modules[name].replace(/from "\.\/([\w.]+)"/g, (_, other) => `from "${addressOf(other)}"`)],
      { type: "text/javascript" },
    ));
    return addresses[name];
  };
  return addressOf;
}

/** A link like that of server.js, through the channel of a notebook. */
class Channel {
  constructor(model, { receive, Credit }, { onFrame, onState, onEnd }) {
    this.model = model;
    this.credit = new Credit();
    this.id = Math.random().toString(36).slice(2);
    this.heard = (message, buffers) => {
      if (message.id !== this.id) return;
      if (message.end !== undefined) onEnd(message.end);
      else receive(message.text ?? this.whole(buffers[0]), this.credit, { onFrame, onState });
    };
    model.on("msg:custom", this.heard);
    model.send({ id: this.id, open: true });
    setTimeout(() => onState({ kind: "open" }));
  }

  whole(view) {
    return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  }

  ready(view) {
    this.send(this.credit.ask(view));
  }

  send(message) {
    this.model.send({ id: this.id, say: JSON.stringify(message) });
    return true;
  }

  close() {
    this.model.off("msg:custom", this.heard);
    this.model.send({ id: this.id, leave: true });
  }
}

async function render({ model, el }) {
  const modules = model.get("_modules");
  const addressOf = addressesOf(modules);
  const [{ View }, ...shared] = await Promise.all(["view.js", "server.js", "credit.js"].map((name) => import(addressOf(name))));
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const style = document.createElement("style");
  style.textContent = modules["style.css"].replaceAll(":root", ":host");
  const { stream, settings } = model.get("_start");
  const connect = (name, onFrame, onState, onEnd) => new Channel(model, Object.assign({}, ...shared), { onFrame, onState, onEnd });
  const view = new View(stream, settings, () => {}, () => leave(), connect);
  const leave = () => {
    view.close();
    host.remove();
  };
  root.append(style, view.element);
  el.append(host);
  return leave;
}

export default { render };
