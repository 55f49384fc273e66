// The address of the page: views and their settings behind the token, `view=wfs,stretch:log,...`.

import { encoded } from "./elements.js";

/** Browsers take so many changes of an address in so many milliseconds, and say so in the console beyond. */
const MOST = 150;
const SPAN = 10_000;
const PAUSE = 250;

/** Text that may stand between commas. */
const quoted = (value) => value.replace(/[%,]/g, encodeURIComponent);

function unquoted(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value; // of somebody who does not quote
  }
}

/** The parameters behind the #, as URLSearchParams. */
export function fragment() {
  return new URLSearchParams(location.hash.slice(1));
}

/** The views of the address: name of the stream, and its settings. */
export function viewsOf(parts) {
  return parts.getAll("view").map((each) => {
    const [name, ...settings] = each.split(",");
    const pairs = settings.filter(Boolean).map((one) => one.split(/:(.*)/s).slice(0, 2));
    const found = pairs.map(([key, value]) => [key, unquoted(value ?? "")]);
    return { stream: unquoted(name), settings: Object.fromEntries(found) };
  }).filter(({ stream }) => stream);
}

/** A view as it stands in the address. Usual values are not left out: they may become others. */
export function textOf({ stream, settings }) {
  const pairs = Object.entries(settings).filter(([, value]) => value !== "");
  return [encoded(stream), ...pairs.map(([name, value]) => `${name}:${quoted(value)}`)].join(",");
}

export class Address {
  constructor() {
    this.times = [];
  }

  /** Put parameters behind the #: at once, or a moment later if there were many. */
  put(parts) {
    this.parts = parts;
    const now = performance.now();
    this.times = this.times.filter((time) => time > now - SPAN);
    if (this.times.length < MOST) this.write(now);
    else this.timer ??= setTimeout(() => {
      this.timer = null;
      this.put(this.parts);
    }, PAUSE);
  }

  write(now) {
    this.times.push(now);
    history.replaceState(null, "", `#${this.parts}`);
  }
}
