// Spectra: Fourier transforms of any length.

/** In place, of a length that is a power of two. */
function powerOfTwo(re, im) {
  const n = re.length;
  for (let k = 1, at = 0; k < n; k++) {
    let bit = n >> 1;
    for (; at & bit; bit >>= 1) at ^= bit;
    at ^= bit;
    if (k < at) {
      [re[k], re[at]] = [re[at], re[k]];
      [im[k], im[at]] = [im[at], im[k]];
    }
  }
  for (let span = 1; span < n; span *= 2) {
    for (let k = 0; k < span; k++) {
      const [c, s] = [Math.cos((-Math.PI * k) / span), Math.sin((-Math.PI * k) / span)];
      for (let low = k; low < n; low += 2 * span) {
        const high = low + span;
        const [x, y] = [re[high] * c - im[high] * s, re[high] * s + im[high] * c];
        re[high] = re[low] - x;
        im[high] = im[low] - y;
        re[low] += x;
        im[low] += y;
      }
    }
  }
}

/** The transform of real values, as real and imaginary parts; other lengths as a convolution with a chirp. */
export function transform(values) {
  const n = values.length;
  if (n && (n & (n - 1)) === 0) {
    const [re, im] = [Float64Array.from(values), new Float64Array(n)];
    powerOfTwo(re, im);
    return [re, im];
  }
  let size = 1;
  while (size < 2 * n) size *= 2;
  const [re, im, cre, cim] = Array.from({ length: 4 }, () => new Float64Array(size));
  const chirp = Array.from({ length: n }, (_, k) => {
    const angle = (Math.PI * ((k * k) % (2 * n))) / n;
    return [Math.cos(angle), Math.sin(angle)];
  });
  chirp.forEach(([c, s], k) => {
    [re[k], im[k]] = [values[k] * c, -values[k] * s];
    [cre[k], cim[k]] = [c, s];
    if (k) [cre[size - k], cim[size - k]] = [c, s];
  });
  powerOfTwo(re, im);
  powerOfTwo(cre, cim);
  for (let k = 0; k < size; k++) {
    // The inverse transform is that of the conjugate.
    [re[k], im[k]] = [re[k] * cre[k] - im[k] * cim[k], -(re[k] * cim[k] + im[k] * cre[k])];
  }
  powerOfTwo(re, im);
  const found = chirp.map(([c, s], k) => {
    const [x, y] = [re[k] / size, -im[k] / size];
    return [x * c + y * s, y * c - x * s];
  });
  return [Float64Array.from(found, ([x]) => x), Float64Array.from(found, ([, y]) => y)];
}

/**
 * Amplitudes of the frequencies from 0 to half the rate of the samples, in steps of 1 / number of samples: of a sine, its
 * amplitude; at 0 the mean.
 */
export function amplitudes(values) {
  const n = values.length;
  const [re, im] = transform(values);
  return Float64Array.from({ length: Math.floor(n / 2) + 1 }, (_, k) => (
    (Math.hypot(re[k], im[k]) / n) * (k === 0 || 2 * k === n ? 1 : 2)));
}
