// What the page asks the server for. The token is in the address behind the #, which browsers send to nobody.

import { Credit } from "./credit.js";
import { decoded } from "./jpeg.js";

const fragment = new URLSearchParams(location.hash.slice(1));
const token = fragment.get("token") ?? "";

/** The token, for the address of the page. */
export function tokenOf() {
  return token;
}

/** Fetch something below /api; throws an Error with what the server said. */
export async function ask(path, options = {}) {
  const answer = await fetch(`api/${path}`, {
    ...options,
    headers: { authorization: `Bearer ${token}`, ...options.headers },
  });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

/** Open a WebSocket of the server. */
function socketTo(path) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(new URL(`${scheme}//${location.host}${location.pathname.replace(/[^/]*$/, "")}${path}`));
}

/**
 * Call `take` with each list of streams that the server sends, for ever; `failed` with what goes wrong. By a WebSocket: of
 * other connections a browser keeps six to a server, and a seventh page would not be loaded.
 */
export function followStreams(take, failed) {
  const socket = socketTo("list");
  socket.onopen = () => socket.send(JSON.stringify({ token }));
  socket.onmessage = ({ data }) => take(JSON.parse(data));
  socket.onclose = ({ reason }) => {
    failed(reason || "the server has ended");
    setTimeout(() => followStreams(take, failed), 1000);
  };
}

/** Hand on what a view was sent: text is what is known between frames, bytes are a frame, or pixels of one. */
export function receive(data, credit, { onFrame, onState }) {
  if (typeof data === "string") {
    onState(JSON.parse(data));
    return;
  }
  const length = new DataView(data).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const content = new Uint8Array(data, 4 + length);
  if (header.kind === "frame") credit.came();
  if (header.sent === "jpeg") decoded(header, content).then((values) => onFrame(header, values));
  else onFrame(header, content);
}

/** A view of a stream at the server: frames for credit. */
export class Link {
  /**
   * @param {string} stream  its name
   * @param {function(object, Uint8Array)} onFrame  header and pixels
   * @param {function(object)} onState  what is known between frames
   * @param {function(string)} onEnd  why it ended
   */
  constructor(stream, onFrame, onState, onEnd) {
    this.stream = stream;
    this.handlers = { onFrame, onState, onEnd };
    this.credit = new Credit();
    this.closed = false;
    this.connect();
  }

  connect() {
    const socket = socketTo("view");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      socket.send(JSON.stringify({ token, stream: this.stream, ...this.credit.begun() }));
      this.handlers.onState({ kind: "open" });
    };
    socket.onmessage = ({ data }) => {
      // What is decoded only after another connection was made is none of its frames.
      const onFrame = (...frame) => { if (!this.closed && socket === this.socket) this.handlers.onFrame(...frame); };
      if (!this.closed) receive(data, this.credit, { ...this.handlers, onFrame });
    };
    socket.onclose = ({ reason }) => {
      if (this.closed) return;
      this.handlers.onEnd(reason || "the server has ended");
      // The stream may come, and the server may come again.
      this.timer = setTimeout(() => this.connect(), 1000);
    };
    this.socket = socket;
  }

  /** Say which frame was painted last, and what is wanted next. */
  ready(view) {
    if (this.open) this.send(this.credit.ask(view));
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Send a message; false if there is no connection. */
  send(message) {
    const { open } = this;
    if (open) this.socket.send(JSON.stringify(message));
    return open;
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
