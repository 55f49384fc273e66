// What can be measured in a region: statistics, and the profile of a star.

import { bounds, eachPixel } from "./regions.js";

/** Mean of the two middle values, or the middle one, of sorted values. */
function middle(sorted) {
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Values of pixels in a region, in order of `eachPixel`; `dark`, of the whole image, is taken away. */
export function valuesOf(region, pixels, shape, dark = null) {
  const found = [];
  eachPixel(region, shape, (column, row) => {
    const value = pixels.ofImage(column + 0.5, row + 0.5);
    if (value !== undefined) found.push(dark ? value - dark[row * shape[1] + column] : value);
  });
  return Float64Array.from(found);
}

/** n, min, max, mean, median, std (of the population) and sum of what is finite, and how many are `bad`. */
export function statistics(values) {
  const sorted = values.filter(Number.isFinite).sort();
  const n = sorted.length;
  const bad = values.length - n;
  if (!n) return { n, bad, min: NaN, max: NaN, mean: NaN, median: NaN, std: NaN, sum: 0 };
  let sum = 0;
  for (const value of sorted) sum += value;
  const mean = sum / n;
  let squares = 0;
  for (const value of sorted) squares += (value - mean) ** 2;
  return { n, bad, min: sorted[0], max: sorted[n - 1], mean, median: middle(sorted), std: Math.sqrt(squares / n), sum };
}

/**
 * The profile of a star in a box or circle.
 *
 * The background is the median of the pixels at the edge of the region: those within one pixel of its sides or of its
 * circle. The centroid is that of the values above or below it. Rings are one pixel wide around the centroid; each has
 * the mean distance and mean value of its pixels. The full width is twice the distance at which the profile, with
 * straight lines between rings, first is halfway between the background and its first ring.
 *
 * @returns {{x, y, background, radii: number[], values: number[], fwhm: number}}  x and y as in geometry.js; NaN if
 *   there is no star, or no halfway
 */
export function profile(region, pixels, shape, dark = null) {
  const places = [];
  const edge = [];
  const [left, bottom, right, top] = bounds(region);
  const [cx, cy, radius] = region.numbers;
  eachPixel(region, shape, (column, row) => {
    const [x, y] = [column + 0.5, row + 0.5];
    let value = pixels.ofImage(x, y);
    if (dark && value !== undefined) value -= dark[row * shape[1] + column];
    if (!Number.isFinite(value)) return;
    places.push([x, y, value]);
    const inside = region.shape === "circle" ? radius - Math.hypot(x - cx, y - cy) : Math.min(x - left, right - x, y - bottom, top - y);
    if (inside < 1) edge.push(value);
  });
  const background = edge.length ? middle(Float64Array.from(edge).sort()) : NaN;
  let [sum, sx, sy] = [0, 0, 0];
  for (const [x, y, value] of places) {
    sum += value - background;
    sx += (value - background) * x;
    sy += (value - background) * y;
  }
  const [x, y] = sum ? [sx / sum, sy / sum] : [NaN, NaN];
  const { radii, values } = rings(places, x, y);
  return { x, y, background, radii, values, fwhm: 2 * halfway(radii, values, background) };
}

function rings(places, x, y) {
  const found = [];
  if (Number.isFinite(x)) {
    for (const [px, py, value] of places) {
      const distance = Math.hypot(px - x, py - y);
      const ring = (found[Math.floor(distance)] ??= [0, 0, 0]);
      ring[0]++;
      ring[1] += distance;
      ring[2] += value;
    }
  }
  const filled = found.filter(Boolean);
  return { radii: filled.map(([n, r]) => r / n), values: filled.map(([n, , v]) => v / n) };
}

function halfway(radii, values, background) {
  const half = (values[0] + background) / 2;
  for (let k = 1; k < values.length; k++) {
    if (values[k] <= half) {
      return radii[k - 1] + ((values[k - 1] - half) / (values[k - 1] - values[k])) * (radii[k] - radii[k - 1]);
    }
  }
  return NaN;
}
