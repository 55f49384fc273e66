// Regions in hand: which part of one a pointer takes hold of, and what becomes of it when that is dragged.

import { bounds } from "./regions.js";

/** Parts whose place is the size of a region, as they are moved by keys. */
const SIZED_BY = { box: "right top", circle: "rim", line: "second" };

/** Places of a region by which its size is changed. */
export function gripsOf({ shape, numbers: [a, b, c, d] }) {
  if (shape === "line") return [[a, b], [c, d]];
  if (shape === "circle") return [[a - c, b], [a + c, b], [a, b - c], [a, b + c]];
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([i, j]) => [a + (i * c) / 2, b + (j * d) / 2]);
}

/**
 * The part of a region at a place: "whole", or sides of a box ("left", "right top"), the "rim" of a circle, the "first"
 * or "second" end of a line; null if it is not there. Sides reach so far to both sides, but never to the middle.
 */
export function gripAt(region, [x, y], reach) {
  const { shape, numbers: [a, b, c, d] } = region;
  if (shape === "circle") {
    const inside = c - Math.hypot(x - a, y - b);
    if (inside < -reach) return null;
    return inside <= Math.min(reach, c / 2) ? "rim" : "whole";
  }
  if (shape === "line") {
    const length = Math.hypot(c - a, d - b);
    const near = Math.min(reach, length / 4);
    const along = Math.min(length, Math.max(0, ((x - a) * (c - a) + (y - b) * (d - b)) / (length || 1)));
    const away = Math.hypot(x - a - (along * (c - a)) / (length || 1), y - b - (along * (d - b)) / (length || 1));
    if (away > reach) return null;
    return along <= near ? "first" : along >= length - near ? "second" : "whole";
  }
  const [left, bottom, right, top] = bounds(region);
  if (x < left - reach || x > right + reach || y < bottom - reach || y > top + reach) return null;
  const side = (place, low, high, lower, upper) => {
    const near = Math.min(reach, (high - low) / 4);
    return place <= low + near ? lower : place >= high - near ? upper : "";
  };
  return [side(x, left, right, "left", "right"), side(y, bottom, top, "bottom", "top")].filter(Boolean).join(" ") || "whole";
}

/** A region of which a part was dragged from one place to another. Boxes move by whole pixels, as they are drawn. */
export function dragged({ shape, numbers }, grip, [x1, y1], [x2, y2]) {
  const [a, b, c, d] = numbers;
  const [right, up] = [x2 - x1, y2 - y1];
  const made = (...now) => ({ shape, numbers: now });
  if (shape === "circle") {
    if (grip === "whole") return made(a + right, b + up, c);
    return made(a, b, Math.max(0.5, c + Math.hypot(x2 - a, y2 - b) - Math.hypot(x1 - a, y1 - b)));
  }
  if (shape === "line") {
    const [first, second] = [grip !== "second", grip !== "first"].map(Number);
    return made(a + first * right, b + first * up, c + second * right, d + second * up);
  }
  const sides = bounds({ shape, numbers });
  const moves = (name) => grip === "whole" || grip.split(" ").includes(name);
  const [left, bottom, over, top] = ["left", "bottom", "right", "top"].map((name, k) => (
    sides[k] + (moves(name) ? Math.round(k % 2 ? up : right) : 0)));
  // A side stops one pixel before the other one.
  const [x, width] = span(left, over, grip.includes("left"));
  const [y, height] = span(bottom, top, grip.includes("bottom"));
  return made(x + width / 2, y + height / 2, width, height);
}

function span(low, high, lower) {
  const length = Math.max(1, high - low);
  return [lower ? high - length : low, length];
}

/** A region moved, or made larger, by so many pixels: what arrow keys do. */
export function nudged(region, right, up, sizes) {
  if (!sizes) return dragged(region, "whole", [0, 0], [right, up]);
  const { shape, numbers: [a, b, c] } = region;
  const from = shape === "circle" ? [a + c, b] : [0, 0];
  const to = shape === "circle" ? [a + Math.max(0, c + right + up), b] : [right, up];
  return dragged(region, SIZED_BY[shape], from, to);
}
