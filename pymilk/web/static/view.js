// One view: a stream on a canvas, with its account, its settings and its tools.

import { Account } from "./account.js";
import { Combine } from "./combine.js";
import { combining, darkFrom } from "./combining.js";
import { Dark } from "./dark.js";
import { make } from "./elements.js";
import { Framing } from "./framing.js";
import { listen } from "./gestures.js";
import { press } from "./keys.js";
import { Native } from "./native.js";
import { painterFor } from "./painter.js";
import { Pixels, fullScale, limits, text } from "./pixels.js";
import { Pointer } from "./pointer.js";
import { Series } from "./series.js";
import { Link, ask } from "./server.js";
import { Compass } from "./sky.js";
import { ranksOf } from "./stretch.js";
import { toolbar } from "./toolbar.js";
import { Tools } from "./tools.js";
import { Track } from "./track.js";
import { settingsOf } from "./words.js";

export class View {
  /**
   * @param {string} stream
   * @param {object} given  settings of the address
   * @param {function()} changed  settings have changed
   * @param {function(View)} closed
   * @param {function} connect  another link than that to the server; then there are no other streams
   */
  constructor(stream, given, changed, closed, connect) {
    this.stream = stream;
    this.alone = Boolean(connect);
    const { settings, wrong } = settingsOf(given);
    this.settings = settings;
    this.changed = changed;
    this.contrast = settings.contrast ? settings.contrast.split(" ").map(Number) : [1, 0.5];
    this.levels = null;
    this.frozen = false;
    this.cutter = new Native((message) => this.link.send(message));
    this.dark = new Dark((part) => this.cutter.get(this.header, this.raw, part), (why) => this.darkened(why));
    this.combine = new Combine(this.settings, (why) => this.combined(why), this.alone);
    this.build(closed);
    if (settings.low !== "" && settings.high !== "") this.levels = [Number(settings.low), Number(settings.high)];
    this.say(wrong, "address");
    const handlers = [(header, content) => this.take(header, content), (state) => this.tell(state), (why) => this.lost(why)];
    this.link = connect ? connect(stream, ...handlers) : new Link(stream, ...handlers);
    this.compass.apply();
  }

  build(closed) {
    this.canvas = make("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `image of stream ${this.stream}`);
    this.painter = painterFor(this.canvas, () => this.cardChanged());
    this.framing = new Framing(this, () => (this.frozen ? this.refine() : this.ready()));
    this.geometry = this.framing.geometry;
    this.pointer = new Pointer(this);
    this.series = new Series(this);
    this.account = new Account(this);
    this.choices = {};
    this.tools = new Tools(this);
    this.track = new Track(this);
    this.compass = new Compass(this);
    this.element = make("section", { className: "view" },
      make("h2", {}, this.stream),
      toolbar(this, closed),
      make("div", { className: "stage" }, this.canvas, this.tools.overlay.element, this.account.trouble, this.pointer.element),
      this.account.element, ...this.tools.elements, this.track.panel, this.series.panel, combining(this));
    this.element.setAttribute("aria-label", `view of ${this.stream}`);
    listen(this.canvas, this);
    this.element.addEventListener("keydown", (event) => press(this, event));
  }

  /** Change a setting, as the menus do. */
  set(name, value) {
    this.settings[name] = value;
    if (this.choices[name]) this.choices[name].value = value;
    if (name === "limits") this.relevel();
    if (name === "auto") this.renew(value === "1");
    this.changed();
    if (name === "how" || name === "send") this.framing.moved();
    if (name === "part" && this.raw?.complex) {
      this.raw.phase = value === "phase";
      this.relevel();
    }
    if (name === "north") this.compass.apply();
    if (["mean", "second", "act"].includes(name)) this.combine.apply(this.raw, this.header);
    this.repaint();
  }

  /** Let keys go to its image, or its curve. */
  focus() {
    (this.curve ? this.tools.plot : this.canvas).focus();
  }

  freeze() {
    this.frozen = !this.frozen;
    this.freezer.setAttribute("aria-pressed", String(this.frozen));
    this.combine.second.hold(this.frozen);
    this.tell({ kind: "frozen" });
    if (this.frozen) return;
    // One more frame may have come meanwhile: it counts as shown, so it is.
    if (this.pending) this.take(...this.pending);
    else this.ready();
  }

  /** New limits from the pixels that are seen; without this they stay as they are. */
  relevel() {
    if (this.pixels) this.level(limits(this.seen(), this.settings.limits));
  }

  /** New limits with each frame, and none in the address; or the last ones from now on. */
  renew(on) {
    this.renewer.setAttribute("aria-pressed", String(on));
    if (!on) {
      if (this.levels) this.level(this.levels);
      return;
    }
    this.relevel();
    for (const name of ["low", "high"]) this.settings[name] = this.choices[name].value = "";
  }

  /** These limits, of somebody who has chosen them. */
  choose(levels) {
    if (this.settings.auto === "1") this.set("auto", "0");
    this.level(levels);
  }

  /** These limits from now on. */
  level(levels) {
    this.levels = levels;
    [this.settings.low, this.settings.high] = levels.map(String);
    for (const name of ["low", "high"]) this.choices[name].value = this.settings[name];
    this.changed();
    this.repaint();
  }

  /** Contrast and bias by so much more. */
  shade(contrast, bias) {
    this.contrast = [Math.max(0, this.contrast[0] * Math.exp(contrast)), this.contrast[1] + bias];
    this.settings.contrast = this.contrast.map((each) => Number(each.toFixed(4))).join(" ");
    this.changed();
    this.repaint();
  }

  /** Contrast and bias as they were, and limits from what is seen. */
  plain() {
    this.contrast = [1, 0.5];
    this.settings.contrast = "";
    this.changed();
    this.relevel();
  }

  /** While it is frozen: the part of the frame that is seen now, at full resolution if that is not too much. */
  async refine() {
    const { framing, header, given, pixels, shape } = this;
    if (!given || this.single || pixels !== this.raw || this.combine.count > 1) return;
    const { left, bottom, right, top, width, height } = framing.wanted();
    const part = [left, bottom, right, top];
    const first = () => new Pixels(...given);
    const fits = right - left <= 2 * width && top - bottom <= 2 * height;
    const found = fits && !(pixels.exact && pixels.holds(part)) ? await this.cutter.get(header, first(), part) : null;
    if (given !== this.given || !this.frozen || pixels !== this.raw || shape !== this.shape) return;
    const inside = pixels.left <= left && pixels.bottom <= bottom && pixels.right >= right && pixels.top >= top;
    if (!found && inside) return;
    this.raw = this.pixels = found ? found.forCard() : first();
    this.raw.phase = pixels.phase;
    this.painter.load(this.pixels);
    this.pointer.again();
    this.repaint();
  }

  /**
   * Ask for the next frame when this one is painted: the browser has taken it, and the card is done. One that came before
   * would wait for the card, and be old when it is seen.
   */
  settle() {
    this.settling = true;
    // A moment after the animation frame, the browser has handed its commands to the card as well.
    requestAnimationFrame(() => setTimeout(() => this.painter.settled(() => {
      this.settling = false;
      if (!this.frozen) this.ready();
    })));
  }

  /** Tell the server which frame was painted, that it may send the newest one, and which part of it. */
  ready() {
    if (this.settling) return;
    const jpeg = this.settings.send === "values" ? {} : { jpeg: this.settings.limits };
    const view = { ...this.framing.wanted(), how: this.settings.how, ...jpeg, ...this.slice() };
    this.link.ready(view);
    this.combine.second.ready(view);
  }

  /** Show a slice of a cube from now on; "": the one written last. */
  turnTo(slice) {
    const most = this.header?.slices ? this.header.slices - 1 : Infinity;
    const good = slice === "" || (/^\d{1,9}$/.test(slice) && Number(slice) <= most);
    this.say(good ? "" : `a slice is a number from 0${Number.isFinite(most) ? ` to ${most}` : ""}`, "slice");
    if (!good) return;
    this.set("slice", slice);
    this.framing.moved();
  }

  /** The next slice of a cube, or the one before; from the first or last one to the other end. */
  step(by) {
    const { slices, slice } = this.header ?? {};
    if (slices) this.turnTo(String((Number(this.settings.slice || slice) + by + slices) % slices));
  }

  slice() {
    return this.settings.slice === "" ? {} : { slice: Number(this.settings.slice) };
  }

  /** A message with pixels has come: a frame, or what was asked of one. */
  take(header, content) {
    if (header.kind === "cut") {
      this.cutter.answer(header, content);
      return;
    }
    const waits = this.frozen || this.painter.lost;
    this.pending = waits ? [header, content] : null;
    if (waits) return;
    this.given = [header, content];
    this.single = header.shape.length === 1;
    if (this.single) [header, content] = this.series.placed(header, content);
    const shape = header.shape.length === 1 ? [1, header.shape[0]] : header.shape;
    const other = !this.shape || shape.join() !== this.shape.join();
    this.shape = shape;
    this.curve = header.shape.length === 1;
    this.header = header;
    this.raw = new Pixels(header, content);
    this.choices.part.hidden = !this.raw.complex;
    this.slicer.hidden = !header.slices && this.settings.slice === "";
    this.choices.slice.max = header.slices ? header.slices - 1 : "";
    this.raw.phase = this.settings.part === "phase";
    const first = !this.pixels;
    if (first) this.combine.apply(this.raw, header);
    this.combine.add(this.raw, header);
    this.pixels = this.combine.seen;
    this.track.add(header);
    if (other) this.framing.begin(this.shape);
    if (!this.levels || this.settings.auto === "1") this.levels = limits(this.seen(), this.settings.limits);
    if (first) this.say("");
    if (first && this.settings.dark) this.restore(this.settings.dark);
    if (!this.curve) this.painter.load(this.pixels);
    this.paint();
    this.account.painted(header);
    this.dark.add(header);
    this.pointer.again();
    this.settle();
  }

  /** The graphics card was lost, and no frame is shown; or it has come back, with nothing of what it had. */
  cardChanged() {
    const { lost } = this.painter;
    this.say(lost ? "the browser has lost the graphics card; waiting for it" : "", "card");
    if (lost) return;
    if (this.pixels && !this.curve) this.painter.load(this.pixels);
    this.repaint();
    if (this.pending && !this.frozen) this.take(...this.pending);
  }

  /** Pixels of the frame that is seen, at full resolution, with a rectangle in them; null if they are not available. */
  async native(part) {
    if (this.pixels === this.raw) return this.cutter.get(this.header, this.raw, part);
    return this.pixels.holds(part) ? this.pixels : null;
  }

  /** Values of the dark for the whole image, if there is one. */
  darkValues() {
    return this.combine.undarkened ? null : this.dark.of(this.shape);
  }

  /** What was done to the values that are measured, in words. */
  calibration() {
    const dark = this.darkValues() ? `minus dark of ${this.dark.label}` : "";
    return [dark, this.combine.label].filter(Boolean).map((each) => `, ${each}`).join("");
  }

  /** The pixels that were sent, without the dark. */
  seen() {
    const dark = this.darkOfSeen();
    return dark ? this.pixels.withValues(dark.map((each, place) => Number(this.pixels.raw[place]) - each)) : this.pixels;
  }

  /** The dark at the pixels that are seen; null if there is none. */
  darkOfSeen() {
    return this.combine.undarkened ? null : this.dark.fit(this.pixels, this.shape, this.settings.how);
  }

  /** Take this frame as the dark; once more takes the dark away. */
  takeDark(count = 1) {
    if (!this.raw || this.raw.complex || this.curve) return;
    if (this.dark.values) this.dark.set(null, null);
    else {
      this.dark.collect(count, this.shape);
      this.dark.add(this.header);
    }
  }

  /** What is seen together has changed. */
  combined(why) {
    if (!this.pixels || !this.combine.averaged) return;
    this.pixels = this.combine.seen;
    if (!this.curve) this.painter.load(this.pixels);
    this.say(why);
    this.repaint();
  }

  /** Hold this frame as the second image, or do this with the one that there is; once more, there is none. */
  pair(act) {
    const ends = this.settings.second !== "none" && this.settings.act === act;
    this.set("act", act);
    if (ends) this.set("second", "none");
    else if (this.settings.second === "none") this.set("second", "held frame");
  }

  darkened(why) {
    this.say(why);
    this.settings.dark = this.dark.stream ?? "";
    this.changed();
    if (this.restoring && this.settings.low !== "") this.repaint();
    else this.relevel();
  }

  /** Take the dark of the address, and leave its limits as they are. */
  async restore(stream) {
    this.restoring = true;
    await darkFrom(this, stream);
    this.restoring = false;
  }

  repaint() {
    if (this.pixels && !this.scheduled) {
      this.scheduled = requestAnimationFrame(() => {
        this.scheduled = null;
        this.paint();
      });
    }
  }

  paint() {
    const { canvas, pixels, geometry } = this;
    if (!pixels || this.painter.lost) return;
    this.canvas.hidden = this.curve;
    this.element.classList.toggle("curve", this.curve);
    this.tools.plot.classList.toggle("large", this.curve);
    if (this.curve) this.paintCurve();
    else {
      this.painter.paint(pixels, {
        stretch: this.settings.stretch, colour: this.settings.colour, levels: this.levels, contrast: this.contrast,
        origin: geometry.origin(canvas.width, canvas.height), steps: geometry.steps,
        dark: this.darkOfSeen(), phase: pixels.phase,
        ranks: this.settings.stretch === "equal" ? ranksOf(this.seen(), ...this.levels) : null,
        saturated: this.settings.sat === "" ? undefined : Number(this.settings.sat),
      });
    }
    ["low", "high"].forEach((name, k) => (this.choices[name].placeholder = text(this.levels[k])));
    this.tools.update();
    this.track.update();
    this.compass.draw();
  }

  paintCurve() {
    const { plot, report } = this.tools;
    plot.hidden = report.hidden = false;
    report.textContent = this.series.draw(plot, this);
  }

  /** Take the last frame once more: what it is shown as has changed. */
  remake() {
    if (this.given && !this.frozen) this.take(...this.given);
  }

  /** The pointer is at a place of the canvas; null: elsewhere. */
  point(place) {
    this.pointer.at(place);
    if (this.settings.tool === "cuts") this.tools.measure();
  }

  /** Colour saturated pixels, or no longer. */
  saturate() {
    this.set("sat", this.settings.sat === "" ? String(fullScale(this.header?.dtype) ?? this.levels?.[1] ?? "") : "");
  }

  /** What the server says between frames. */
  tell(state) {
    if (state.kind === "open") {
      this.framing.resize(); // the first frame is for the canvas as it is, and comes once
      this.ready();
    } else if (state.kind === "cut") this.cutter.answer(state);
    else this.account.tell(state);
  }

  /** Say that something did not work; "" when it is over. Each topic has its own sentence. */
  say(why, topic) {
    this.account.say(why, topic);
  }

  lost(why) {
    this.cutter.forget();
    // Its number means another frame to the next connection.
    if (this.header) delete this.header.frame;
    // It was not seen, and the next connection does not know of it.
    this.pending = null;
    this.account.lost(why);
  }

  /** Ask the server for something below /api; an Error in a notebook, which has none. */
  async ask(path) {
    if (this.alone) throw new Error("a notebook has one stream, and no server");
    return ask(path);
  }

  close() {
    this.tools.close();
    this.combine.close();
    this.compass.close();
    this.link.close();
    this.framing.close();
    this.painter.close();
    this.element.remove();
  }
}
