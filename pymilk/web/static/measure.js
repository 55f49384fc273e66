// What can be measured in a region: statistics, and the profile of a star.

import { bounds, eachPixel } from "./regions.js";

/** Put the value that is at `k` in sorted order there, smaller ones before it and larger ones behind. */
function select(values, k) {
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const pivot = values[(left + right) >> 1];
    let i = left;
    let j = right;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const other = values[i];
        values[i++] = values[j];
        values[j--] = other;
      }
    }
    if (k <= j) right = j;
    else if (k >= i) left = i;
    else break;
  }
  return values[k];
}

/** Median of finite values, which are put in another order: of an even number, the mean of both in the middle. */
function median(values) {
  const half = values.length >> 1;
  const upper = select(values, half);
  if (values.length % 2) return upper;
  let lower = -Infinity;
  for (let k = 0; k < half; k++) if (values[k] > lower) lower = values[k];
  return (lower + upper) / 2;
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
  const kept = new Float64Array(values.length);
  let n = 0;
  for (let k = 0; k < values.length; k++) if (Number.isFinite(values[k])) kept[n++] = values[k];
  const finite = kept.subarray(0, n);
  const bad = values.length - n;
  if (!n) return { n, bad, min: NaN, max: NaN, mean: NaN, median: NaN, std: NaN, sum: 0 };
  let sum = 0;
  let min = Infinity;
  let max = -Infinity;
  for (let k = 0; k < n; k++) {
    const value = finite[k];
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const mean = sum / n;
  let squares = 0;
  for (let k = 0; k < n; k++) squares += (finite[k] - mean) * (finite[k] - mean);
  return { n, bad, min, max, mean, median: median(finite), std: Math.sqrt(squares / n), sum };
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
  const background = edge.length ? median(edge) : NaN;
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
