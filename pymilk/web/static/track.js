// A value of each frame that is shown: of a stream of one axis one of its values, of an image a pixel, of both a statistic.

import { drawCurve } from "./curve.js";
import { make, menu } from "./elements.js";
import { History, peakOf } from "./history.js";
import { statistics } from "./measure.js";
import { text } from "./pixels.js";
import { bounds, toText } from "./regions.js";
import { HISTORIES, STATS } from "./words.js";

export class Track {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.history = new History();
    const choose = menu(STATS, "History of", view.settings.stat, (word) => view.set("stat", word));
    choose.setAttribute("aria-label", `History of, in ${view.stream}`);
    view.choices.stat = choose;
    const input = make("input", { type: "number", min: "0", value: view.settings.element, title: "Value of the history" });
    input.setAttribute("aria-label", `Value of the history, of ${view.stream}`);
    input.addEventListener("change", () => view.set("element", input.value.trim()));
    this.element = make("label", {}, "Value of the history ", input);
    this.panel = make("p", { className: "track", hidden: true }, make("label", {}, "History of ", choose), " ", this.element);
  }

  /** Whether it is seen. */
  get seen() {
    return HISTORIES.includes(this.view.settings.tool);
  }

  /** A view was painted: show the menu where it belongs. */
  update() {
    const { settings, curve } = this.view;
    this.panel.hidden = !this.seen;
    this.element.hidden = !curve || settings.stat !== "value";
  }

  /** What the history is of; it begins anew when that is something else. */
  renew() {
    const { settings, curve, dark } = this.view;
    const place = curve ? settings.element : toText([this.region].filter(Boolean));
    const wanted = [settings.stat, place, settings.mean, settings.second, settings.act, dark.values && dark.label].join();
    if (wanted !== this.wanted) this.history.clear();
    this.wanted = wanted;
    return wanted;
  }

  /** A frame was shown. Of images, values are taken only while they are seen, and of one frame at a time. */
  async add({ cnt0, file, written_ns: written }) {
    const { view } = this;
    const wanted = this.renew();
    const frame = `${file} ${cnt0}`;
    if (this.busy || frame === this.last || !(view.curve || this.seen)) return;
    this.last = frame;
    this.busy = true;
    try {
      const value = view.curve ? this.ofCurve(view.raw) : await this.ofImage();
      const seconds = Number(written) / 1e9;
      if (Number.isFinite(value) && wanted === this.wanted) this.history.add(value, cnt0, seconds || NaN);
      if (!view.curve) view.tools.measure(); // the frame was painted before its value was there
    } finally {
      this.busy = false;
    }
  }

  get region() {
    const { tools: { regions, chosen } } = this.view;
    return regions[chosen];
  }

  ofCurve(pixels) {
    const { stat, element } = this.view.settings;
    if (stat !== "value") return statistics(pixels.values(Infinity, false))[stat];
    return Number(element) < pixels.columns ? pixels.at(Number(element), 0) : undefined;
  }

  async ofImage() {
    const { stat } = this.view.settings;
    if (!this.region) return stat === "value" ? undefined : statistics(this.view.seen().values(Infinity, false))[stat];
    const values = await this.view.tools.values(stat === "value" ? middleOf(this.region) : this.region);
    if (!values?.length) return undefined;
    return stat === "value" ? values[0] : statistics(values)[stat];
  }

  /** What the history is of, in words. */
  get label() {
    const { curve, settings: { stat, element }, tools: { chosen } } = this.view;
    if (curve) return stat === "value" ? `value ${element}` : stat;
    if (!this.region) return `${stat} of what is seen`;
    return stat === "value" ? `pixel in the middle of region ${chosen + 1}` : `${stat} of region ${chosen + 1}`;
  }

  /** Draw the history or its spectrum on a canvas; returns what is to be said. */
  draw(plot) {
    const { tool, stat } = this.view.settings;
    plot.setAttribute("aria-label", `${tool} of ${this.label}`);
    if (!this.view.curve && !this.region && stat === "value") return "Draw a region: the history is that of the pixel in its middle.";
    this.renew();
    const { values } = this.history;
    if (tool === "history") {
      const [low, high] = drawCurve(plot, values);
      return `${this.label} of the last ${values.length} frames shown, now ${text(values[values.length - 1])}; from ${text(low)} to ${text(high)}`;
    }
    const found = this.history.spectrum();
    if (!found) return "A spectrum needs four frames.";
    drawCurve(plot, found.values);
    return `spectrum of ${this.label} of the last ${found.count} frames shown, ${peakOf(found, text)}`
      + (found.skipped ? `; ${found.skipped} skipped between them` : "");
  }
}

/** The pixel in the middle of a region, as a region. */
function middleOf(region) {
  const [left, bottom, right, top] = bounds(region);
  return { shape: "box", numbers: [Math.floor((left + right) / 2) + 0.5, Math.floor((bottom + top) / 2) + 0.5, 1, 1] };
}
