// What a view says: the account of its frames, always, and what is wrong.

import { make } from "./elements.js";
import { text } from "./pixels.js";

const STALE_SECONDS = 2;
/** Milliseconds over which the rate of painting is counted. */
const SPAN = 2000;

/** A span of seconds in words. */
export const span = (seconds) => (
  seconds < 1 ? `${Math.round(1000 * seconds)} ms` : `${text(Math.round(10 * seconds) / 10)} s`);

/** The account in words: of the stream, of the frames painted, how many a second they were, and how old the last one is. */
function accountOf({ rate, cnt0, slice, slices }, { shown, skipped, lives }, drawn, age) {
  const source = rate === null || rate === undefined ? "-" : text(Math.round(rate * 10) / 10);
  const cut = slices ? `slice ${slice} of 0 to ${slices - 1}, ` : "";
  return `frame ${cnt0 ?? "-"}, ${cut}${age === null ? "" : `age ${span(age)}, `}source ${source}/s, shown ${drawn}/s, ${shown} shown + ${skipped} skipped`
    + (lives > 1 ? `, recreated or restarted ${lives - 1} times` : "");
}

/** What becomes of the dark of a view, if it has one. */
function darkOf({ dark, curve, shape, header, combine }) {
  if (!dark?.values || !header || combine.undarkened) return "";
  if (curve || header.dtype.startsWith("complex") || !dark.of(shape)) return `the dark of ${dark.label} is of other frames`;
  return `minus dark of ${dark.label}`;
}

export class Account {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.element = make("p", { className: "account" });
    this.trouble = make("p", { className: "trouble" });
    this.paintedAt = [];
    this.failed = {};
    this.silence = 0;
  }

  /** A frame was painted. */
  painted(header) {
    this.heard = performance.now();
    this.paintedAt.push(this.heard);
    this.credit.painted(header);
    this.tell({ ...header, kind: "painted" });
  }

  get credit() {
    return this.view.link.credit;
  }

  /** Show what is known of the stream, and of the frames that were painted. */
  tell(state) {
    this.state = { ...this.state, ...state };
    const { shown, skipped } = this.credit;
    Object.assign(this.view.element.dataset, { shown, skipped, cnt0: this.state.cnt0 ?? "" });
    const now = performance.now();
    this.paintedAt = this.paintedAt.filter((time) => time > now - SPAN);
    const since = this.heard === undefined ? 0 : (now - this.heard) / 1000;
    // The writer's time says how old it was when it was sent; some writers keep none.
    const age = typeof this.state.age === "number" ? this.state.age + since : null;
    this.element.textContent = accountOf(this.state, this.credit, (this.paintedAt.length * 1000) / SPAN, age);
    this.silence = state.kind === "state" && since > STALE_SECONDS ? Math.round(since) : 0;
    this.view.element.classList.toggle("stale", this.silence > 0);
    this.show();
  }

  /** Say that something did not work; "" when it is over. Each topic has its own sentence. */
  say(why, topic = "") {
    this.failed[topic] = why;
    this.show();
  }

  /** The connection has ended. */
  lost(why) {
    this.view.element.classList.add("stale");
    this.trouble.textContent = why;
  }

  show() {
    const { frozen, header, combine } = this.view;
    const said = [
      frozen ? "frozen" : "", header?.lossy ? "JPEG 8 bit, lossy" : "", this.silence ? `no frame for ${this.silence} s` : "",
      this.state?.trouble ?? "", darkOf(this.view), combine.label, ...Object.values(this.failed),
    ].filter(Boolean).join("; ");
    if (said !== this.trouble.textContent) this.trouble.textContent = said;
  }
}
