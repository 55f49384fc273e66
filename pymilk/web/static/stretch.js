// From a value to a level between 0 and 1, the same in the shader and here, and from a level to a colour.

/** Stretches by name: as an expression of GLSL in t, and as a function. Constants are those of ds9. */
export const STRETCHES = {
  linear: { glsl: "t", js: (t) => t },
  log: { glsl: "log(1000.0 * t + 1.0) / log(1001.0)", js: (t) => Math.log(1000 * t + 1) / Math.log(1001) },
  sqrt: { glsl: "sqrt(t)", js: Math.sqrt },
  squared: { glsl: "t * t", js: (t) => t * t },
  power: { glsl: "(pow(1000.0, t) - 1.0) / 999.0", js: (t) => (1000 ** t - 1) / 999 },
  asinh: { glsl: "log(10.0 * t + sqrt(100.0 * t * t + 1.0)) / 2.998222950", js: (t) => Math.asinh(10 * t) / Math.asinh(10) },
  sinh: { glsl: "(exp(3.0 * t) - exp(-3.0 * t)) / 20.035749854", js: (t) => Math.sinh(3 * t) / Math.sinh(3) },
  equal: { glsl: "texture(ranks, vec2(t, 0.5)).r", js: null },
};

const ramp = (value) => Math.min(255, Math.max(0, Math.round(255 * value)));

// Control points of viridis: measured from the public-domain table at 9 even places.
const VIRIDIS = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99],
  [170, 220, 50], [253, 231, 37],
];

function between(points, x) {
  const place = Math.min(points.length - 1.000001, x * (points.length - 1));
  const k = Math.floor(place);
  return points[k].map((value, part) => Math.round(value + (points[k + 1][part] - value) * (place - k)));
}

/** Colour maps by name: a function of the level that gives red, green and blue. */
export const COLOURS = {
  grey: (x) => [ramp(x), ramp(x), ramp(x)],
  inverted: (x) => [ramp(1 - x), ramp(1 - x), ramp(1 - x)],
  heat: (x) => [ramp(3 * x), ramp(3 * x - 1), ramp(3 * x - 2)],
  cool: (x) => [ramp(3 * x - 2), ramp(3 * x - 1), ramp(3 * x)],
  viridis: (x) => between(VIRIDIS, x),
  bb: (x) => [ramp(2 * x), ramp(2 * x - 0.5), ramp(2 * x - 1)],
};

/** 256 colours of a map, red, green, blue and 255 each. */
export function colourTable(name) {
  const table = new Uint8Array(1024);
  for (let k = 0; k < 256; k++) table.set([...COLOURS[name](k / 255), 255], 4 * k);
  return table;
}

/** Ranks for the stretch "equal": 256 levels, each the share of values below it. */
export function ranksOf(pixels, low, high) {
  const table = new Uint8Array(256);
  const sorted = pixels.values(200000).sort();
  let below = 0;
  for (let k = 0; k < 256; k++) {
    const level = low + ((high - low) * k) / 255;
    while (below < sorted.length && sorted[below] <= level) below++;
    table[k] = Math.round((255 * below) / (sorted.length || 1));
  }
  return table;
}
