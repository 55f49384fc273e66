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
  equal: { glsl: "rankOf(t)", js: null },
};

const ramp = (value) => Math.min(255, Math.max(0, Math.round(255 * value)));

// Colours of viridis at 33 even places: with straight lines between them, no part is off by more than 2.
const VIRIDIS = [
  [68, 1, 84], [71, 13, 96], [72, 24, 106], [72, 35, 116], [71, 45, 123], [69, 54, 129], [66, 64, 134], [63, 73, 137],
  [59, 82, 139], [55, 90, 141], [51, 99, 141], [47, 106, 142], [44, 114, 142], [41, 122, 142], [38, 129, 142],
  [35, 137, 142], [33, 144, 140], [31, 152, 139], [31, 159, 136], [33, 166, 133], [40, 174, 128], [49, 181, 123],
  [62, 188, 116], [76, 194, 108], [93, 201, 99], [110, 206, 88], [130, 211, 76], [150, 216, 63], [171, 220, 50],
  [192, 223, 36], [213, 226, 26], [234, 229, 26], [253, 231, 37],
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

/** So many steps has the stretch "equal". */
export const RANKS = 255;

/**
 * The stretch "equal": where each of its steps begins, as a part of the way from low to high. A value has as many steps
 * below it as is its share, the part of all values that are not larger, times 255, rounded.
 */
export function ranksOf(pixels, low, high) {
  const sorted = pixels.values(200000).sort();
  const steps = new Float32Array(RANKS).fill(2);
  let step = 0;
  for (let k = 0; k < sorted.length && step < RANKS;) {
    const first = k;
    while (k < sorted.length && sorted[k] === sorted[first]) k++;
    const share = Math.round((RANKS * k) / sorted.length);
    // In the middle between two values: the card rounds them.
    const begins = first ? ((sorted[first - 1] / 2 + sorted[first] / 2 - low) / (high - low || 1)) : -1;
    while (step < share) steps[step++] = begins;
  }
  return steps;
}

/** The level of a part of the way by such steps. */
export function rankOf(steps, t) {
  let found = 0;
  for (let half = (RANKS + 1) / 2; half >= 1; half /= 2) if (steps[found + half - 1] <= t) found += half;
  return found / RANKS;
}
