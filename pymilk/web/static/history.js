// The last values that were shown, frame by frame, and their spectrum.

import { amplitudes } from "./fft.js";

/** Values of a history, and of its spectrum. */
const MOST = 100_000;
const SPECTRUM = 4096;

export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.first = this.end = 0;
    this.kept = null;
  }

  /** Add a value of a frame with its number, and the time of it in seconds; NaN if its writer keeps none. */
  add(value, counter, seconds = NaN) {
    if (this.end && counter <= this.kept.counters[this.end - 1]) this.clear(); // another life of the stream
    this.kept ??= Object.fromEntries(["values", "counters", "seconds"].map((name) => [name, new Float64Array(2 * MOST)]));
    const all = Object.values(this.kept);
    if (this.end === 2 * MOST) {
      for (const each of all) each.copyWithin(0, this.end - MOST + 1);
      this.end = MOST - 1;
      this.first = 0;
    }
    [value, counter, seconds].forEach((each, k) => (all[k][this.end] = each));
    this.end++;
    this.first = Math.max(this.first, this.end - MOST);
  }

  get values() {
    return this.kept ? this.kept.values.subarray(this.first, this.end) : new Float64Array(0);
  }

  /**
   * Amplitudes of the last values, without their mean. Frames that were skipped are filled in by straight lines: there are
   * as many steps of the counter, all of one length, as there were frames.
   * @returns {{values, count, skipped, step, unit} | null}  step: between two frequencies; null: too few values
   */
  spectrum() {
    const first = Math.max(this.first, this.end - SPECTRUM);
    const count = this.end - first;
    if (count < 4) return null;
    const { values, counters, seconds } = this.kept;
    const span = counters[this.end - 1] - counters[first];
    const even = new Float64Array(count);
    for (let k = 0, at = first; k < count; k++) {
      const wanted = counters[first] + (k * span) / (count - 1);
      while (at < this.end - 2 && counters[at + 1] <= wanted) at++;
      const part = (wanted - counters[at]) / (counters[at + 1] - counters[at]);
      even[k] = values[at] + part * (values[at + 1] - values[at]);
    }
    const mean = even.reduce((sum, each) => sum + each, 0) / count;
    const elapsed = seconds[this.end - 1] - seconds[first];
    const frames = (count * span) / (count - 1);
    return {
      values: amplitudes(even.map((each) => each - mean)), count, skipped: span + 1 - count,
      step: elapsed > 0 ? span / elapsed / frames : 1 / frames, unit: elapsed > 0 ? "Hz" : "cycles a frame",
    };
  }
}

/** A spectrum in words: its range and its highest peak, without frequency 0. */
export function peakOf({ values, step, unit }, text) {
  let peak = 1;
  for (let k = 2; k < values.length; k++) if (values[k] > values[peak]) peak = k;
  return `from 0 to ${text(step * (values.length - 1))} ${unit}, peak at ${text(step * peak)} ${unit} with amplitude ${text(values[peak])}`;
}
