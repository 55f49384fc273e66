// Frames together: the mean of the last ones, and a second image to take away or to blink with.

import { Pixels } from "./pixels.js";
import { Link } from "./server.js";

export const SECONDS = ["none", "held frame"];
export const ACTS = ["difference", "blink"];
const BLINK_MS = 500;

const sameParts = (a, b) => ["left", "bottom", "right", "top", "across", "down"].every((name) => a[name] === b[name]);

/** The mean of the last frames that were shown, as long as they are of the same part of the image. */
export class Mean {
  constructor() {
    this.kept = [];
  }

  /**
   * The mean of a frame and of those before it, `count` altogether; one that comes once more takes its own place.
   * `slice`: that of a cube which was chosen, if one was.
   */
  of(pixels, count, frame, slice) {
    if (this.kept.length && (slice !== this.slice || !sameParts(this.kept[0], pixels))) this.kept = [];
    if (frame === this.last) this.kept.pop();
    [this.last, this.slice] = [frame, slice];
    this.kept = [...this.kept, pixels].slice(-count);
    const sum = new Float64Array(pixels.rows * pixels.columns);
    for (const each of this.kept) {
      for (let place = 0; place < sum.length; place++) sum[place] += Number(each.raw[place]);
    }
    return pixels.withValues(Float32Array.from(sum, (each) => each / this.kept.length));
  }

  clear() {
    this.kept = [];
  }
}

/** A second image: a frame that is held, or another stream that is followed. */
export class Second {
  /** @param {function()} changed  it is another one */
  constructor(changed) {
    this.changed = changed;
    this.name = "none";
    this.pixels = null;
  }

  /** Take another one: "none", "held frame" with that frame, or the name of a stream. */
  choose(name, pixels, header) {
    this.close();
    this.pending = null;
    this.name = name;
    this.pixels = name === "held frame" ? pixels : null;
    this.header = name === "held frame" ? header : null;
    if (name !== "none" && name !== "held frame") {
      const opened = (state) => { if (state.kind === "open") this.ready(this.view); };
      this.link = new Link(name, (head, content) => this.take(head, content), opened, (why) => this.changed(why));
    }
    this.changed("");
  }

  take(header, content) {
    if (this.held && this.pixels) {
      this.pending = [header, content];
      return;
    }
    this.header = header;
    this.pixels = new Pixels(header, content);
    this.link.credit.painted(header);
    this.changed("");
    requestAnimationFrame(() => this.ready(this.view));
  }

  /** Stand still, or go on: with the frame that has come meanwhile, if there is one. */
  hold(held) {
    this.held = held;
    const { pending } = this;
    this.pending = null;
    if (!held && pending) this.take(...pending);
  }

  /** Ask for the next frame, of this part of the image. */
  ready(view) {
    this.view = view;
    this.link?.ready(view);
  }

  close() {
    this.link?.close();
    this.link = null;
  }

  /** What it is, in words. */
  get label() {
    return `${this.name} (frame ${this.header?.cnt0 ?? "-"})`;
  }
}

/** Mean and second image of a view. */
export class Combine {
  /**
   * @param {object} settings  of the view: mean, second, act
   * @param {function(string)} changed  what is seen is another one; with a sentence if something is wrong
   * @param {boolean} alone  there are no other streams
   */
  constructor(settings, changed, alone) {
    if (alone && !SECONDS.includes(settings.second)) settings.second = "none";
    this.settings = settings;
    this.changed = changed;
    this.mean = new Mean();
    this.second = new Second((why) => changed(why));
    this.other = false;
  }

  /** Take the settings of the address or of the menus. */
  apply(pixels, header) {
    clearInterval(this.timer);
    this.other = false;
    if (this.settings.second !== this.second.name) this.second.choose(this.settings.second, pixels, header);
    if (this.second.name !== "none" && this.settings.act === "blink") {
      this.timer = setInterval(() => {
        this.other = !this.other;
        this.changed("");
      }, BLINK_MS);
    }
    if (this.count < 2) this.mean.clear();
    this.changed("");
  }

  get count() {
    return Math.max(1, Math.min(1000, Math.round(Number(this.settings.mean)) || 1));
  }

  /** A frame has come: add it to the mean. */
  add(raw, { file, cnt0, slice }) {
    const chosen = this.settings.slice === "" ? undefined : slice;
    this.averaged = this.count > 1 && !raw.complex ? this.mean.of(raw, this.count, `${file} ${cnt0}`, chosen) : raw;
  }

  /** What is seen of the frames so far. */
  get seen() {
    const { averaged, second: { pixels } } = this;
    if (this.settings.act === "blink") return this.other && pixels ? pixels : averaged;
    if (!this.subtracts) return averaged;
    return averaged.withValues(Float32Array.from({ length: pixels.rows * pixels.columns }, (_, place) => (
      averaged.at(place % pixels.columns, Math.floor(place / pixels.columns))
      - pixels.at(place % pixels.columns, Math.floor(place / pixels.columns)))));
  }

  get subtracts() {
    const { averaged, second: { pixels } } = this;
    return this.settings.act === "difference" && Boolean(pixels) && sameParts(averaged, pixels);
  }

  /** Whether the dark has nothing to do with what is seen: with a difference, and with another stream. */
  get undarkened() {
    if (this.subtracts) return true;
    return this.settings.act === "blink" && this.other && Boolean(this.second.pixels) && this.second.name !== "held frame";
  }

  /** What is seen, in words. */
  get label() {
    const parts = [];
    if (this.count > 1 && this.mean.kept.length) parts.push(`mean of ${this.mean.kept.length}`);
    if (this.settings.act === "blink" && this.other) parts.push(`seen: ${this.second.label}`);
    else if (this.subtracts) parts.push(`minus ${this.second.label}`);
    else if (this.settings.act === "difference" && this.second.pixels) parts.push(`${this.second.label} is of another size or part`);
    return parts.join(", ");
  }

  close() {
    clearInterval(this.timer);
    this.second.close();
  }
}
