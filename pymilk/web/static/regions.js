// Regions on an image: boxes, circles and lines, and the files in which ds9 keeps them. Coordinates are those of
// geometry.js, where the middle of pixel (0, 0) is (0.5, 0.5); in files it is (1, 1).

/** Numbers of each shape: box x, y of its middle, width, height; circle x, y, radius; line both ends. */
const NUMBERS = { box: 4, circle: 3, line: 4 };
/** How many of them are coordinates. */
const PLACES = { box: 2, circle: 2, line: 4 };

/** No coordinate is farther out: steps of one still count there. */
const FARTHEST = 1e12;

export const SHAPES = Object.keys(NUMBERS);

/** The region that is drawn from one place to another. Boxes are of whole pixels. */
export function drawn(shape, [x1, y1], [x2, y2]) {
  if (shape === "line") return { shape, numbers: [x1, y1, x2, y2] };
  if (shape === "circle") return { shape, numbers: [x1, y1, Math.max(0.5, Math.hypot(x2 - x1, y2 - y1))] };
  const [left, bottom] = [Math.floor(Math.min(x1, x2)), Math.floor(Math.min(y1, y2))];
  const [right, top] = [Math.max(left + 1, Math.ceil(Math.max(x1, x2))), Math.max(bottom + 1, Math.ceil(Math.max(y1, y2)))];
  return { shape, numbers: [(left + right) / 2, (bottom + top) / 2, right - left, top - bottom] };
}

/** Left, bottom, right and top of a region, not in whole pixels. */
export function bounds({ shape, numbers: [a, b, c, d] }) {
  if (shape === "box") return [a - c / 2, b - d / 2, a + c / 2, b + d / 2];
  if (shape === "circle") return [a - c, b - c, a + c, b + c];
  return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
}

/** The pixels of an image around a region: left, bottom, right, top; null if it lies outside. */
export function rectangle(region, [rows, columns]) {
  const [left, bottom, right, top] = bounds(region);
  // A line that ends on the edge of a pixel still touches it.
  const more = region.shape === "line" ? 1 : 0;
  const found = [
    Math.max(0, Math.floor(left)), Math.max(0, Math.floor(bottom)),
    Math.min(columns, more ? Math.floor(right) + 1 : Math.ceil(right)), Math.min(rows, more ? Math.floor(top) + 1 : Math.ceil(top)),
  ];
  return found[0] < found[2] && found[1] < found[3] ? found : null;
}

/** The first and last step of a line that may lie on an image, by its begin, end and the length of the image on each axis. */
function within(axes, steps) {
  let [first, last] = [0, steps];
  for (const [begin, end, length] of axes) {
    const each = (end - begin) / (steps || 1);
    if (!each) continue; // it stays in one row or column, which is looked at step by step
    const [near, far] = [(-1 - begin) / each, (length + 1 - begin) / each].sort((a, b) => a - b);
    first = Math.max(first, Math.floor(near));
    last = Math.min(last, Math.ceil(far));
  }
  return [first, last];
}

/**
 * Call `visit(column, row)` for each pixel of a region within an image. In a box or circle are pixels whose middle is;
 * on a line are as many as it has columns or rows, whichever are more, and both ends.
 */
export function eachPixel(region, [rows, columns], visit) {
  const { shape, numbers: [a, b, c, d] } = region;
  if (shape === "line") {
    const [x1, y1, x2, y2] = [a, b, c, d].map(Math.floor);
    const steps = Math.max(Math.abs(x2 - x1), Math.abs(y2 - y1));
    const [first, last] = within([[x1, x2, columns], [y1, y2, rows]], steps);
    for (let step = first; step <= last; step++) {
      const column = Math.floor(x1 + 0.5 + ((x2 - x1) * step) / (steps || 1));
      const row = Math.floor(y1 + 0.5 + ((y2 - y1) * step) / (steps || 1));
      if (column >= 0 && column < columns && row >= 0 && row < rows) visit(column, row);
    }
    return;
  }
  const around = rectangle(region, [rows, columns]);
  if (!around) return;
  const [left, bottom, right, top] = bounds(region);
  for (let row = around[1]; row < around[3]; row++) {
    for (let column = around[0]; column < around[2]; column++) {
      const [x, y] = [column + 0.5, row + 0.5];
      const within = shape === "box" ? x >= left && x < right && y >= bottom && y < top : Math.hypot(x - a, y - b) <= c;
      if (within) visit(column, row);
    }
  }
}

const short = (value) => Number(value.toFixed(4));

/** Regions as text for the address: "box 10 20 4 6;line ...". */
export function toText(regions) {
  return regions.map(({ shape, numbers }) => [shape, ...numbers.map(short)].join(" ")).join(";");
}

/** Regions of such a text; what is none is left out. */
export function fromText(text) {
  return text.split(";").map((each) => {
    const [shape, ...numbers] = each.trim().split(/\s+/);
    return { shape, numbers: numbers.map(Number) };
  }).filter(usable);
}

function usable({ shape, numbers }) {
  return numbers.length === NUMBERS[shape] && numbers.every((each) => Math.abs(each) <= FARTHEST)
    && (shape === "line" || numbers.slice(2).every((size) => size > 0));
}

/** A region in words of ds9, in its image coordinates. */
function line({ shape, numbers }) {
  const told = numbers.map((each, k) => short(k < PLACES[shape] ? each + 0.5 : each));
  if (shape === "box") told.push(0);
  return `${shape}(${told.join(",")})`;
}

/** A region file of ds9. */
export function toReg(regions) {
  return ["# Region file format: DS9 version 4.1", "image", ...regions.map(line), ""].join("\n");
}

/**
 * Read a region file of ds9.
 * @returns {{regions: object[], left: number}}  and how many were left out: other shapes, turned boxes, other systems
 */
export function fromReg(text) {
  const regions = [];
  let left = 0;
  // The words of ds9 if a file names no system are those of the image.
  let system = "image";
  for (const part of text.split(/[\n;]/)) {
    const words = part.replace(/#.*/, "").trim();
    if (!words || words.startsWith("global")) continue;
    const [, shape, rest] = words.match(/^[+-]?\s*([a-z0-9]+)[\s(]*([^)]*)/i) ?? [];
    if (rest === "") {
      system = words.toLowerCase();
      continue;
    }
    const told = (rest ?? "").split(/[\s,]+/).filter(Boolean).map(Number);
    const name = (shape ?? "").toLowerCase();
    const turned = name === "box" && told.length === 5 ? told.pop() : 0;
    const region = { shape: name, numbers: told.map((each, k) => (k < PLACES[name] ? each - 0.5 : each)) };
    if (turned === 0 && usable(region) && ["image", "physical"].includes(system)) regions.push(region);
    else left++;
  }
  return { regions, left };
}
