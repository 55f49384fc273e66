// What lies over the image: regions, and what is being drawn.

import { draw } from "./elements.js";
import { gripsOf } from "./grips.js";
import { toText } from "./regions.js";

export class Overlay {
  constructor() {
    this.element = draw("svg", { class: "overlay", "aria-hidden": "true" });
    this.regions = draw("g");
    this.sketched = draw("g");
    this.arrows = draw("g");
    this.element.append(this.regions, this.sketched, this.arrows);
  }

  /** Whether something is drawn already, in the same place: most frames change nothing of it. */
  same(what, { canvas, geometry }, ...drawn) {
    const { centre, zoom, orientation } = geometry;
    const now = [canvas.width, canvas.height, ...centre, zoom, orientation, ...drawn].join();
    const before = this[what];
    this[what] = now;
    return now === before;
  }

  /** Draw regions; the one chosen stands out. */
  show(regions, chosen, view) {
    if (this.same("shown", view, toText(regions), chosen)) return;
    this.element.setAttribute("viewBox", `0 0 ${view.canvas.width} ${view.canvas.height}`);
    this.regions.replaceChildren(...regions.flatMap((region, k) => {
      const made = outline(region, view);
      made.setAttribute("class", k === chosen ? "region chosen" : "region");
      const [x, y] = corner(region, view);
      const grips = k === chosen ? gripsOf(region).map(([gx, gy]) => {
        const [column, row] = placed(view, gx, gy);
        return draw("rect", { x: column - 3, y: row - 3, width: 6, height: 6, class: "chosen" });
      }) : [];
      return [made, ...grips, draw("text", { x, y }, String(k + 1))];
    }));
  }

  /** Draw arrows to north and east in the upper right corner; null: none. */
  compass(directions, view) {
    if (this.same("pointed", view, JSON.stringify(directions))) return;
    const { geometry, canvas } = view;
    // Below what is wrong with the stream.
    const [x, y] = [canvas.width - 60, 96];
    this.arrows.replaceChildren(...Object.entries(directions ?? {}).flatMap(([name, direction]) => {
      const [right, down] = geometry.toScreen(...direction);
      const line = draw("line", { x1: x, y1: y, x2: x + 36 * right, y2: y + 36 * down, "data-to": name });
      return [line, draw("text", { x: x + 48 * right - 5, y: y + 48 * down + 5 }, name[0].toUpperCase())];
    }));
  }

  /** Draw a region that is not finished; null: none. */
  sketch(region, view) {
    this.sketched.replaceChildren(...(region ? [outline(region, view)] : []));
  }
}

const placed = ({ geometry, canvas }, x, y) => geometry.toCanvas(x, y, canvas.width, canvas.height);

function outline(region, view) {
  const { shape, numbers: [a, b, c, d] } = region;
  if (shape === "circle") {
    const [cx, cy] = placed(view, a, b);
    return draw("circle", { cx, cy, r: c * view.geometry.zoom });
  }
  if (shape === "line") {
    const [x1, y1] = placed(view, a, b);
    const [x2, y2] = placed(view, c, d);
    return draw("line", { x1, y1, x2, y2 });
  }
  const corners = gripsOf(region).map((each) => placed(view, ...each));
  return draw("polygon", { points: corners.map((each) => each.join()).join(" ") });
}

function corner({ shape, numbers: [a, b, c] }, view) {
  const [x, y] = placed(view, a, b);
  const beside = c * view.geometry.zoom * (shape === "box" ? 0.5 : 0.71) + 3;
  return shape === "line" ? [x + 4, y - 4] : [x + beside, shape === "box" ? y : y - beside];
}
