// Streams of one axis: a curve, its spectrum, the history of one value, or the actuators of a mirror.

import { gridOf, onGrid } from "./actuators.js";
import { drawCurve } from "./curve.js";
import { make } from "./elements.js";
import { amplitudes } from "./fft.js";
import { readImage } from "./files.js";
import { Pixels, text } from "./pixels.js";

/** Values of a history. */
const MOST = 100_000;

/** The last values that were shown. */
export class History {
  constructor() {
    this.kept = new Float64Array(2 * MOST);
    this.clear();
  }

  clear() {
    this.first = this.end = 0;
  }

  add(value) {
    if (this.end === this.kept.length) {
      this.kept.copyWithin(0, this.end - MOST + 1);
      this.end = MOST - 1;
      this.first = 0;
    }
    this.kept[this.end++] = value;
    this.first = Math.max(this.first, this.end - MOST);
  }

  get values() {
    return this.kept.subarray(this.first, this.end);
  }
}

export class Series {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.history = new History();
    this.grid = null;
    const field = (name, label, type, more = {}) => {
      const input = make("input", { type, value: view.settings[name], title: label, ...more });
      input.setAttribute("aria-label", `${label}, of ${view.stream}`);
      input.addEventListener("change", () => {
        if (name === "element") this.history.clear();
        view.set(name, input.value.trim());
        if (name === "map") this.findGrid();
      });
      return make("label", {}, `${label} `, input);
    };
    this.panel = make("p", { className: "series", hidden: true },
      field("element", "Value of the history", "number", { min: "0" }), " ", field("fs", "Samples a second", "number", { min: "0", step: "any" }),
      " ", field("map", "Stream with the map of the actuators", "text"));
    if (view.settings.map) this.findGrid();
  }

  /** Get the map of the actuators. */
  async findGrid() {
    const name = this.view.settings.map;
    try {
      this.grid = name ? gridOf(readImage(await (await this.view.ask(`streams/${encodeURIComponent(name)}/frame.npy`)).arrayBuffer())) : null;
      this.view.say("", "map");
    } catch (error) {
      this.grid = null;
      this.view.say(`no map: ${error.message}`, "map");
    }
    this.view.remake();
  }

  /** A frame of one axis: as it is, or on the grid. */
  placed(header, content) {
    this.panel.hidden = false;
    if (!this.grid) return [header, content];
    try {
      return onGrid(this.grid, header, new Pixels(header, content));
    } catch (error) {
      this.grid = null;
      this.view.say(`no map: ${error.message}`, "map");
      return [header, content];
    }
  }

  /** A frame was shown: add to the history. */
  add(pixels, counter) {
    if (counter === this.counter) return;
    this.counter = counter;
    const element = Number(this.view.settings.element);
    if (element < pixels.columns) this.history.add(pixels.at(element, 0));
  }

  /** Draw on a canvas; returns what is to be said. */
  draw(plot, { header, pixels, settings }) {
    if (plot.height !== 400) plot.height = 400;
    let values = pixels.values(Infinity, false);
    let said = `frame ${header.cnt0}; ${pixels.columns} values`;
    if (settings.tool === "history") {
      values = this.history.values;
      said = `value ${settings.element} of the last ${values.length} frames shown, now ${text(values[values.length - 1])}`;
    } else if (settings.tool === "spectrum") {
      const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
      const found = amplitudes(values.map((each) => each - mean));
      let peak = 0;
      for (let k = 1; k < found.length; k++) if (found[k] > found[peak]) peak = k;
      const step = (Number(settings.fs) || 1) / values.length;
      const unit = Number(settings.fs) ? "Hz" : "cycles a sample";
      said = `frame ${header.cnt0}; spectrum from 0 to ${text(step * (found.length - 1))} ${unit}, peak at ${text(step * peak)} ${unit} with amplitude ${text(found[peak])}`;
      values = found;
    }
    const [low, high] = drawCurve(plot, values);
    plot.setAttribute("aria-label", settings.tool === "none" ? "curve" : settings.tool);
    const binned = pixels.across > 1 ? `, each the ${settings.how} of ${pixels.across}` : "";
    return `${said}${binned}; from ${text(low)} to ${text(high)}`;
  }
}
