// What is under the pointer, in the units of the stream.

import { make } from "./elements.js";

export class Pointer {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.element = make("output", { className: "pointer" });
    this.place = null;
    this.here = null;
  }

  /** It is at a place of the canvas; null: elsewhere. */
  async at(place) {
    const { view } = this;
    this.place = place;
    this.here = place && view.geometry.toImage(...place, view.canvas.width, view.canvas.height);
    const { here } = this;
    const { pixels, header } = view;
    if (!here || pixels?.ofImage(...here) === undefined) {
      this.element.textContent = "";
      return;
    }
    const [x, y] = here.map(Math.floor);
    const { across, down } = pixels;
    const rough = [
      across * down > 1 ? `${view.settings.how} of ${across}x${down}` : "", header.lossy ? "lossy" : "", view.combine.label,
    ].filter(Boolean).join(", ");
    this.element.textContent = `x ${x}, y ${y}: ${pixels.textOf(...here)}${rough ? ` (${rough})` : ""}`;
    if (pixels !== view.raw || (pixels.exact && !rough)) return;
    const exact = await view.native([x, y, x + 1, y + 1]);
    if (exact && here === this.here) this.element.textContent = `x ${x}, y ${y}: ${exact.textOf(...here)}`;
  }

  /** Another frame is seen, or another part of it. */
  again() {
    return this.at(this.place);
  }
}
