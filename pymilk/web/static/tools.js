// Tools of a view: its regions, what is measured in them, and the curves below the image.

import { dragLevels, drawCurve, drawHistogram } from "./curve.js";
import { button, make, openFile, save } from "./elements.js";
import { ORIENTATIONS } from "./geometry.js";
import { dragged, gripAt, nudged } from "./grips.js";
import { profile, statistics, valuesOf } from "./measure.js";
import { Overlay } from "./overlay.js";
import { histogram, limits, text } from "./pixels.js";
import { drawn, fromReg, fromText, rectangle, toReg, toText } from "./regions.js";
import { HISTORIES } from "./words.js";

const MEASURED = ["n", "min", "max", "mean", "median", "std", "sum"];
/** Pixels to the right and up. */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
/** Milliseconds between two measurements. */
const PAUSE = 100;

export class Tools {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.regions = fromText(view.settings.regions);
    this.chosen = this.regions.length - 1;
    this.overlay = new Overlay();
    this.plot = make("canvas", { className: "plot", width: 512, height: 90, hidden: true, tabIndex: 0 });
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute("aria-label", `curve of ${view.stream}`);
    const shown = () => this.drawnHistogram && { ...this.drawnHistogram, levels: view.levels };
    dragLevels(this.plot, shown, (levels) => view.choose(levels));
    this.report = make("p", { className: "report", hidden: true });
    this.table = make("table", { className: "regions" });
    this.panel = make("div", { className: "panel", hidden: true }, this.table,
      button("Save regions", "Save the regions as a file of ds9", () => this.save()),
      button("Load regions", "Load regions from a file of ds9", () => openFile(".reg", (content) => this.load(content))));
    this.measured = 0;
    this.list();
  }

  get elements() {
    return [this.plot, this.report, this.panel];
  }

  /** Places of the canvas in the image. */
  toImage([column, row]) {
    const { geometry, canvas } = this.view;
    return geometry.toImage(column, row, canvas.width, canvas.height);
  }

  /** Show what would be drawn from one place of the canvas to another; null: nothing. */
  sketch(start, here) {
    this.overlay.sketch(start && drawn(this.view.settings.draw, this.toImage(start), this.toImage(here)), this.view);
  }

  /** Keep what was drawn. */
  add(start, here) {
    this.sketch(null);
    if (Math.hypot(here[0] - start[0], here[1] - start[1]) < 3) return;
    this.change([...this.regions, drawn(this.view.settings.draw, this.toImage(start), this.toImage(here))]);
    if (!["statistics", "profile", ...HISTORIES].includes(this.view.settings.tool)) this.view.set("tool", "statistics");
  }

  /** Take a region away; the one chosen if none is said. */
  remove(which = this.chosen) {
    this.change(this.regions.filter((_, k) => k !== which));
  }

  /** The region at a place of the canvas, and the part of it that can be dragged there; null if there is none. */
  gripAt(place, reach) {
    const { geometry } = this.view;
    const order = [this.chosen, ...this.regions.keys()].filter((k) => this.regions[k]);
    for (const k of order) {
      const grip = gripAt(this.regions[k], this.toImage(place), reach / geometry.zoom);
      if (grip) return { which: k, grip, region: this.regions[k], from: this.toImage(place) };
    }
    return null;
  }

  /** Drag what `gripAt` has found to a place of the canvas; null: back to where it was. */
  drag(held, place) {
    const region = place ? dragged(held.region, held.grip, held.from, this.toImage(place)) : held.region;
    this.regions = this.regions.with(held.which, region);
    this.chosen = held.which;
    this.overlay.show(this.regions, this.chosen, this.view);
    this.measure();
  }

  /** It stays where it was dragged. */
  drop() {
    this.change(this.regions, this.chosen);
  }

  /** Move a region by pixels to the right and up on the screen, or make it larger. */
  nudge(which, right, up, sizes) {
    const [ax, ay, bx, by] = ORIENTATIONS[this.view.geometry.orientation];
    const [dx, dy] = sizes ? [right, up] : [ax * right + bx * up, ay * right + by * up];
    this.change(this.regions.with(which, nudged(this.regions[which], dx, dy, sizes)), which);
    this.table.rows[which + 1].querySelector("button").focus();
  }

  change(regions, chosen = regions.length - 1) {
    this.regions = regions;
    this.chosen = chosen;
    this.view.set("regions", toText(regions));
    this.list();
    this.measure();
  }

  save() {
    save(new Blob([toReg(this.regions)], { type: "text/plain" }), `${this.view.stream}.reg`);
  }

  load(content) {
    const { regions, left } = fromReg(new TextDecoder().decode(content));
    this.change([...this.regions, ...regions]);
    this.view.say(left ? `${left} regions were left out: only boxes that are not turned, circles and lines in image coordinates are known` : "");
  }

  /** Limits from the region that is chosen. */
  async limits() {
    const values = await this.values(this.regions[this.chosen]);
    const { n, min, max } = statistics(values ?? []);
    if (n) this.view.choose([min, max]);
  }

  /** Make the table of regions anew. */
  list() {
    const head = make("tr", {}, ...["region", ...MEASURED, "actions"].map((word) => make("th", { textContent: word, scope: "col" })));
    const rows = this.regions.map((region, k) => {
      const name = toReg([region]).split("\n")[2];
      const choose = button(`${k + 1} ${name}`, "Choose for profile, history and limits; arrow keys move it, with Shift they size it", () => {
        this.chosen = k;
        this.list();
        this.measure();
      });
      choose.setAttribute("aria-pressed", String(k === this.chosen));
      choose.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight ArrowUp ArrowDown Shift+ArrowLeft Shift+ArrowRight Shift+ArrowUp Shift+ArrowDown");
      choose.addEventListener("keydown", (event) => {
        const steps = ARROWS[event.key];
        if (!steps) return;
        event.preventDefault();
        this.nudge(k, ...steps, event.shiftKey);
      });
      const remove = button("Delete", `Take region ${k + 1} away`, () => this.remove(k));
      const level = button("Limits", `Limits from region ${k + 1}`, () => {
        this.chosen = k;
        this.limits();
      });
      return make("tr", {}, make("td", {}, choose), ...MEASURED.map(() => make("td")), make("td", {}, level, remove));
    });
    this.table.replaceChildren(head, ...rows);
    this.overlay.show(this.regions, this.chosen, this.view);
  }

  /** A frame was painted, or the view has changed. */
  update() {
    const { tool } = this.view.settings;
    this.overlay.show(this.regions, this.chosen, this.view);
    this.panel.hidden = this.view.curve || !["statistics", "profile"].includes(tool);
    if (this.view.curve) return;
    if (this.plot.height !== 90) this.plot.height = 90;
    this.plot.hidden = !["histogram", "cuts", "profile", ...HISTORIES].includes(tool);
    this.report.hidden = !["statistics", "profile", "cuts", "spectrum", ...HISTORIES].includes(tool);
    this.drawnHistogram = null;
    if (tool === "histogram") this.drawHistogram();
    else if (tool !== "none") this.measure();
  }

  drawHistogram() {
    const { levels } = this.view;
    const pixels = this.view.seen();
    const [low, high] = limits(pixels, "minmax");
    this.drawnHistogram = { low, high };
    drawHistogram(this.plot, [...histogram(pixels, low, high, 128)], low, high, levels);
    this.plot.setAttribute("aria-label", `histogram from ${text(low)} to ${text(high)}`);
  }

  /** Measure the frame that is seen: one measurement at a time, of the newest frame, and not more often than useful. */
  async measure() {
    const wait = this.measured + PAUSE - performance.now();
    if (this.busy || wait > 0) {
      this.timer ??= setTimeout(() => {
        this.timer = null;
        this.measure();
      }, Math.max(wait, 20));
      return;
    }
    if (!this.view.pixels || this.view.curve) return;
    this.busy = true;
    const { tool } = this.view.settings;
    try {
      if (tool === "statistics") await this.showStatistics();
      else if (tool === "profile") await this.showProfile();
      else if (tool === "cuts") await this.showCuts();
      else if (this.view.track.seen) this.report.textContent = this.view.track.draw(this.plot);
      else this.report.textContent = `${tool}: of streams of one axis.`;
    } finally {
      this.busy = false;
      this.measured = performance.now();
    }
  }

  /** Values of a region at full resolution, in the order of its pixels; null if they are not available. */
  async values(region) {
    const around = region && this.view.shape && rectangle(region, this.view.shape);
    if (!around) return region ? [] : null;
    const pixels = await this.view.native(around);
    return pixels && valuesOf(region, pixels, this.view.shape, this.view.darkValues());
  }

  async showStatistics() {
    const { header, pixels } = this.view;
    const { regions } = this;
    const seen = statistics(this.view.seen().values(Infinity, false));
    const done = this.view.calibration();
    // All are asked for at once, so all are of this frame.
    const found = await Promise.all(regions.map((region) => this.values(region)));
    if (regions !== this.regions) return;
    this.report.textContent = `frame ${header.cnt0}; seen: ${MEASURED.map((name) => `${name} ${text(seen[name])}`).join(", ")}`
      + (seen.bad ? `, ${seen.bad} not finite` : "") + (pixels.exact ? "" : " (as sent)") + done;
    found.forEach((values, k) => {
      const measured = values && statistics(values);
      MEASURED.forEach((name, place) => {
        const cell = this.table.rows[k + 1].cells[place + 1];
        cell.textContent = measured ? text(measured[name]) : "-";
        cell.title = measured ? String(measured[name]) : "not available at full resolution: zoom in";
      });
    });
    this.table.dataset.frame = header.cnt0;
  }

  async showProfile() {
    const region = this.regions[this.chosen];
    if (!region || region.shape === "line") {
      this.report.textContent = "Draw a box or a circle around a star.";
      return;
    }
    const { header, shape } = this.view;
    const around = rectangle(region, shape);
    const pixels = around && await this.view.native(around);
    if (!pixels) {
      this.report.textContent = "Not available at full resolution: zoom in.";
      return;
    }
    const found = profile(region, pixels, shape, this.view.darkValues());
    drawCurve(this.plot, found.values, { across: found.radii });
    this.plot.setAttribute("aria-label", "radial profile");
    // As the pointer says it: the middle of pixel (0, 0) is (0, 0) there.
    this.report.textContent = `frame ${header.cnt0}; centroid x ${text(found.x - 0.5)}, y ${text(found.y - 0.5)}, FWHM ${text(found.fwhm)} pixels, `
      + `background ${text(found.background)}, peak ring ${text(found.values[0])}${this.view.calibration()}`;
    Object.assign(this.report.dataset, { x: found.x - 0.5, y: found.y - 0.5, fwhm: found.fwhm, background: found.background });
  }

  async showCuts() {
    const { pointer: { here }, shape, header } = this.view;
    if (!here) return;
    const [x, y] = here.map(Math.floor);
    if (x < 0 || y < 0 || x >= shape[1] || y >= shape[0]) return;
    const [row, column] = await Promise.all([this.view.native([0, y, shape[1], y + 1]), this.view.native([x, 0, x + 1, shape[0]])]);
    if (!row || !column) {
      this.report.textContent = "Not available at full resolution: zoom in.";
      return;
    }
    const dark = this.view.darkValues();
    const cut = (length, pixels, place) => Array.from({ length }, (_, k) => {
      const [px, py] = place(k);
      return pixels.ofImage(px + 0.5, py + 0.5) - (dark ? dark[py * shape[1] + px] : 0);
    });
    this.cuts = { row: cut(shape[1], row, (k) => [k, y]), column: cut(shape[0], column, (k) => [x, k]) };
    const all = [...this.cuts.row, ...this.cuts.column].filter(Number.isFinite);
    const [low, high] = [all.reduce((a, b) => Math.min(a, b), Infinity), all.reduce((a, b) => Math.max(a, b), -Infinity)];
    drawCurve(this.plot, this.cuts.row, { low, high });
    drawCurve(this.plot, this.cuts.column, { low, high, colour: "#e6a15a", over: true });
    this.plot.setAttribute("aria-label", `row ${y} and column ${x}`);
    this.report.textContent = `frame ${header.cnt0}; row ${y} (blue) and column ${x} (orange), from ${text(low)} to ${text(high)}${this.view.calibration()}`;
  }

  close() {
    clearTimeout(this.timer);
  }
}
