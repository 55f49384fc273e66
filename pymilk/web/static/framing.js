// What part of the image is on the canvas: commands that turn, move and enlarge it, and what is asked of the server for it.

import { Geometry, ORIENTATIONS } from "./geometry.js";

/** Milliseconds after the last movement until the server is asked for another part. */
const PAUSE = 60;

export class Framing {
  /**
   * @param {View} view
   * @param {function()} ask  another part of the image is wanted
   */
  constructor(view, ask) {
    this.view = view;
    this.ask = ask;
    this.geometry = new Geometry();
    this.geometry.orientation = Number(view.settings.turn) % ORIENTATIONS.length;
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(view.canvas);
  }

  /** The first image: the part of it that the address says. One of another shape: the whole image. */
  begin(shape) {
    const { settings, canvas } = this.view;
    this.geometry.fit(shape, canvas.width, canvas.height);
    const zoom = Number(settings.zoom);
    if (!this.begun && zoom > 0) {
      this.geometry.zoomTo(zoom, settings.at ? settings.at.split(" ").map(Number) : this.geometry.centre);
    }
    this.begun = true;
  }

  /** Keep zoom and middle in the address. */
  keep() {
    const { geometry: { fitted, zoom, centre }, view } = this;
    const [was, at] = [view.settings.zoom, view.settings.at];
    view.settings.zoom = fitted ? "" : String(Number(zoom.toPrecision(6)));
    view.settings.at = fitted ? "" : centre.map((each) => Number(each.toFixed(2))).join(" ");
    if (view.settings.zoom !== was || view.settings.at !== at) view.changed();
  }

  /** Next of the eight orientations. */
  turn() {
    this.geometry.orientation = (this.geometry.orientation + 1) % ORIENTATIONS.length;
    this.view.set("turn", String(this.geometry.orientation));
    if (this.geometry.fitted) this.fit();
    else this.moved();
  }

  /** Show the whole image. */
  fit() {
    const { shape, canvas } = this.view;
    if (!shape) return;
    this.geometry.fit(shape, canvas.width, canvas.height);
    this.moved();
  }

  /** Zoom around a place of the canvas, its middle if none is said. */
  zoomBy(factor, column = this.view.canvas.width / 2, row = this.view.canvas.height / 2) {
    this.geometry.zoomAt(factor, column, row, this.view.canvas.width, this.view.canvas.height);
    this.moved();
  }

  zoomTo(zoom) {
    this.zoomBy(zoom / this.geometry.zoom);
  }

  pan(right, down) {
    this.geometry.pan(right, down);
    this.moved();
  }

  /** Give the canvas as many pixels as the screen has for it, if it is seen. */
  resize() {
    const { canvas } = this.view;
    if (!canvas.clientWidth) return;
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * scale));
    const height = Math.max(1, Math.round(canvas.clientHeight * scale));
    if (width === canvas.width && height === canvas.height) return;
    canvas.width = width;
    canvas.height = height;
    if (this.geometry.fitted) this.fit();
    else this.moved();
  }

  /** Paint what is there, and ask for what is not once this has come to rest. */
  moved() {
    this.view.repaint();
    clearTimeout(this.asking);
    this.asking = setTimeout(() => {
      if (this.view.shape) this.keep();
      this.ask();
    }, PAUSE);
  }

  /** The part of the image on the canvas, and how many pixels there are for it, as the server is asked for it. */
  wanted() {
    const { single, shape, canvas } = this.view;
    if (single) return { left: 0, bottom: 0, right: 1e9, top: 1, width: 4096, height: 1 };
    if (!shape) return { width: canvas.width, height: canvas.height };
    return this.geometry.wanted(shape, canvas.width, canvas.height);
  }

  close() {
    clearTimeout(this.asking);
    this.watch.disconnect();
  }
}
