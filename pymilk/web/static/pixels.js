// Pixels as the server sends them, and what can be said of their values.

const KINDS = {
  uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array,
  uint32: Uint32Array, int32: Int32Array, float32: Float32Array,
  uint64: BigUint64Array, int64: BigInt64Array, float64: Float64Array,
};

/** The largest integer of a dtype (of 64 bits, as near as a number can be); undefined for other numbers. */
export function fullScale(dtype = "") {
  const [, sign, bits] = dtype.match(/^(u?)int(8|16|32|64)$/) ?? [];
  return bits && 2 ** (Number(bits) - (sign ? 0 : 1)) - 1;
}

/** A part of an image: typed values, and where they lie in it. */
export class Pixels {
  /** @param {object} header  of a frame; @param {Uint8Array} content  its pixels, which are not copied */
  constructor(header, content) {
    [this.rows, this.columns] = header.size;
    [this.left, this.bottom, this.right, this.top] = header.region;
    [this.across, this.down] = header.bins;
    this.complex = header.dtype.startsWith("complex");
    const Kind = KINDS[header.sent];
    this.raw = new Kind(content.buffer, content.byteOffset, content.byteLength / Kind.BYTES_PER_ELEMENT);
    this.sent = header.sent;
    this.exact = header.exact;
  }

  /** Other values at the same places. */
  withValues(raw) {
    return Object.assign(Object.create(Pixels.prototype), this, { raw, sent: "float32", complex: false });
  }

  /** These, in a kind that the graphics card has. */
  forCard() {
    if (!["uint64", "int64", "float64"].includes(this.sent)) return this;
    const near = { raw: Float32Array.from(this.raw, Number), sent: "float32", exact: false };
    return Object.assign(Object.create(Pixels.prototype), this, near);
  }

  /** Whether these are the very values of all pixels of a rectangle: left, bottom, right, top. */
  holds([left, bottom, right, top]) {
    return this.across === 1 && this.down === 1 && left >= this.left && bottom >= this.bottom && right <= this.right
      && top <= this.top;
  }

  /** The very value at coordinates of the image, as text: also of integers of 64 bits, and of complex numbers. */
  textOf(x, y) {
    const place = Math.floor((y - this.bottom) / this.down) * this.columns + Math.floor((x - this.left) / this.across);
    if (!this.complex) return typeof this.raw[place] === "bigint" ? String(this.raw[place]) : text(this.raw[place], this.sent);
    const [real, imaginary] = [this.raw[2 * place], this.raw[2 * place + 1]];
    const sign = imaginary < 0 ? "-" : "+";
    return `${text(real, this.sent)}${sign}${text(Math.abs(imaginary), this.sent)}i, amplitude ${text(Math.hypot(real, imaginary))}, `
      + `phase ${text(Math.atan2(imaginary, real))}`;
  }

  /** The number at (column, row) of what was sent; of complex pixels the amplitude, or the phase in radians. */
  at(column, row) {
    return this.number(row * this.columns + column);
  }

  number(place) {
    if (!this.complex) return Number(this.raw[place]);
    const [real, imaginary] = [this.raw[2 * place], this.raw[2 * place + 1]];
    return this.phase ? Math.atan2(imaginary, real) : Math.hypot(real, imaginary);
  }

  /** The same by the coordinates of the image; undefined outside. */
  ofImage(x, y) {
    if (x < this.left || x >= this.right || y < this.bottom || y >= this.top) return undefined;
    return this.at(Math.floor((x - this.left) / this.across), Math.floor((y - this.bottom) / this.down));
  }

  /** All values, as `at` gives them; at most about `most` of them, evenly; those not finite are left out. */
  values(most = Infinity, finite = true) {
    const count = this.rows * this.columns;
    // Odd, so that it does not take the same columns of each row.
    const step = Math.ceil(count / most) | 1;
    const found = new Float64Array(Math.ceil(count / step));
    let kept = 0;
    for (let place = 0; place < count; place += step) {
      const value = this.number(place);
      if (!finite || Number.isFinite(value)) found[kept++] = value;
    }
    return found.subarray(0, kept);
  }
}

/** The smallest and largest of all values that are finite; null if none is. */
function ends(pixels) {
  let [low, high] = [Infinity, -Infinity];
  const count = pixels.rows * pixels.columns;
  for (let place = 0; place < count; place++) {
    const value = pixels.number(place);
    if (value < low && value !== -Infinity) low = value;
    if (value > high && value !== Infinity) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** The lowest and highest level by a rule: "minmax", "99.5" and other percentages, "zscale". */
export function limits(pixels, rule) {
  if (rule === "minmax") return ends(pixels) ?? [0, 1];
  const values = pixels.values(200000).sort();
  if (!values.length) return ends(pixels) ?? [0, 1];
  if (rule === "zscale") return zscale(values);
  const share = (100 - Number(rule)) / 200;
  const place = (part) => values[Math.min(values.length - 1, Math.max(0, Math.round(part * (values.length - 1))))];
  return [place(share), place(1 - share)];
}

/** Levels of a line through the sorted values, with outliers left out: what IRAF calls zscale (contrast 0.25). */
function zscale(sorted) {
  const count = Math.min(1000, sorted.length);
  const sample = Array.from({ length: count }, (_, k) => sorted[Math.floor((k * sorted.length) / count)]);
  const middle = sample[Math.floor(count / 2)];
  let kept = sample.map((value, k) => [k - (count - 1) / 2, value]);
  let slope = 0;
  for (let round = 0; round < 5 && kept.length > Math.max(5, count / 2); round++) {
    const n = kept.length;
    const mx = kept.reduce((sum, [x]) => sum + x, 0) / n;
    const my = kept.reduce((sum, [, y]) => sum + y, 0) / n;
    const sxx = kept.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
    slope = kept.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / (sxx || 1);
    const distance = kept.map(([x, y]) => y - my - slope * (x - mx));
    const bound = 2.5 * Math.sqrt(distance.reduce((sum, each) => sum + each * each, 0) / n);
    const next = kept.filter((_, k) => Math.abs(distance[k]) <= bound);
    if (next.length === n) break;
    kept = next;
  }
  const half = (slope / 0.25) * (count / 2);
  const low = Math.max(sample[0], middle - half);
  const high = Math.min(sample[count - 1], middle + half);
  return low < high ? [low, high] : [sample[0], sample[count - 1]];
}

/** How many values lie in each of `count` equal steps from low to high; those beyond are in the first and last. */
export function histogram(pixels, low, high, count) {
  const found = new Uint32Array(count);
  const scale = count / (high - low || 1);
  for (const value of pixels.values(500000)) {
    found[Math.min(count - 1, Math.max(0, Math.floor((value - low) * scale)))]++;
  }
  return found;
}

/** A number in few digits, whole ones whole. With a dtype: in as many as make it this very number. */
export function text(value, dtype) {
  if (value === undefined) return "";
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  if (dtype === "float64") return String(value);
  if (dtype !== "float32") return String(Number(value.toPrecision(6)));
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}
