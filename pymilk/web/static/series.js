// Streams of one axis: a curve, its spectrum, or the actuators of a mirror.

import { gridOf, onGrid } from "./actuators.js";
import { drawCurve } from "./curve.js";
import { encoded, make } from "./elements.js";
import { amplitudes } from "./fft.js";
import { readImage } from "./files.js";
import { peakOf } from "./history.js";
import { Pixels, text } from "./pixels.js";

export class Series {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.grid = null;
    const field = (name, label, type, more = {}) => {
      const input = make("input", { type, value: view.settings[name], title: label, ...more });
      input.setAttribute("aria-label", `${label}, of ${view.stream}`);
      input.addEventListener("change", () => {
        view.set(name, input.value.trim());
        if (name === "map") this.findGrid();
      });
      return make("label", {}, `${label} `, input);
    };
    this.panel = make("p", { className: "series", hidden: true },
      field("fs", "Samples a second", "number", { min: "0", step: "any" }),
      " ", field("map", "Stream with the map of the actuators", "text"));
    if (view.settings.map) this.findGrid();
  }

  /** Get the map of the actuators. */
  async findGrid() {
    const name = this.view.settings.map;
    try {
      this.grid = name ? gridOf(readImage(await (await this.view.ask(`streams/${encoded(name)}/frame.npy`)).arrayBuffer())) : null;
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

  /** Draw on a canvas; returns what is to be said. */
  draw(plot, { header, pixels, settings, track }) {
    if (plot.height !== 400) plot.height = 400;
    if (track.seen) return track.draw(plot);
    let values = pixels.values(Infinity, false);
    let said = `frame ${header.cnt0}; ${pixels.columns} values`;
    if (settings.tool === "spectrum") {
      const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
      const found = amplitudes(values.map((each) => each - mean));
      const step = (Number(settings.fs) || 1) / values.length;
      const unit = Number(settings.fs) ? "Hz" : "cycles a sample";
      said = `frame ${header.cnt0}; spectrum ${peakOf({ values: found, step, unit }, text)}`;
      values = found;
    }
    const [low, high] = drawCurve(plot, values);
    plot.setAttribute("aria-label", settings.tool === "none" ? "curve" : settings.tool);
    const binned = pixels.across > 1 ? `, each the ${settings.how} of ${pixels.across}` : "";
    return `${said}${binned}; ${Number.isNaN(low) ? "none is finite" : `from ${text(low)} to ${text(high)}`}`;
  }
}
