// The dark of a view: an image that is taken away from each frame. It is kept at full resolution.

export class Dark {
  /**
   * @param {function(number[]): Promise<Pixels | null>} native  pixels of the frame that is seen, at full resolution
   * @param {function(string)} changed  the dark is another one; with a sentence if something is wrong
   */
  constructor(native, changed) {
    this.native = native;
    this.changed = changed;
    this.values = null;
    this.shape = null;
    this.collected = null;
    this.fitting = null;
  }

  /** Take the mean of the next frames as the dark. */
  collect(count, shape) {
    this.collected = { count, shape, got: 0, sum: new Float64Array(shape[0] * shape[1]), last: null };
  }

  /** A frame is seen: add it if frames are collected. Each one is added once. */
  async add(header) {
    const { collected } = this;
    const frame = `${header.file} ${header.cnt0}`;
    if (!collected || collected.busy || frame === collected.last) return;
    const [rows, columns] = collected.shape;
    if ((header.shape.length === 1 ? [1, ...header.shape] : header.shape).join() !== collected.shape.join()) {
      this.collected = null;
      this.changed("no dark: the frames have another size now");
      return;
    }
    collected.busy = true;
    const pixels = await this.native([0, 0, columns, rows]);
    collected.busy = false;
    if (this.collected !== collected) return;
    if (!pixels) {
      this.collected = null;
      this.changed("no dark: whole frames are not available at full resolution");
      return;
    }
    for (let place = 0; place < collected.sum.length; place++) collected.sum[place] += pixels.at(place % columns, Math.floor(place / columns));
    collected.last = frame;
    collected.got++;
    if (collected.got < collected.count) return;
    this.set(collected.shape, collected.sum.map((each) => each / collected.got), `${collected.got} frames`);
  }

  /** Take values as the dark; null: none. `stream`: the name of the one that they are of. */
  set(shape, values, label = "", stream = null) {
    Object.assign(this, { shape, values, label, stream, collected: null, fitting: null });
    this.changed("");
  }

  /** Values of the dark if it is one of images of a shape, else null. */
  of(shape) {
    return this.values && this.shape.join() === shape?.join() ? this.values : null;
  }

  /** The dark at the pixels that were sent, made fewer as they were; null if there is none for them. */
  fit(pixels, shape, how) {
    const values = this.of(shape);
    if (!values || pixels.complex) return null;
    const key = [pixels.left, pixels.bottom, pixels.right, pixels.top, pixels.across, pixels.down, how].join();
    if (this.fitting?.key !== key) this.fitting = { key, values: fewer(values, shape[1], pixels, how) };
    return this.fitting.values;
  }
}

/** Values of an image at the pixels of a part of it: the mean, the largest or the first of those that became one. */
function fewer(values, columns, pixels, how) {
  const found = new Float32Array(pixels.rows * pixels.columns);
  for (let row = 0; row < pixels.rows; row++) {
    for (let column = 0; column < pixels.columns; column++) {
      const [x0, y0] = [pixels.left + column * pixels.across, pixels.bottom + row * pixels.down];
      let [sum, count, most] = [0, 0, -Infinity];
      for (let y = y0; y < Math.min(y0 + pixels.down, pixels.top); y++) {
        for (let x = x0; x < Math.min(x0 + pixels.across, pixels.right); x++) {
          const value = values[y * columns + x];
          sum += value;
          count++;
          most = Math.max(most, value);
        }
      }
      found[row * pixels.columns + column] = how === "mean" ? sum / count : how === "max" ? most : values[y0 * columns + x0];
    }
  }
  return found;
}
