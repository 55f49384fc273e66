// A FITS file of the pixels that are seen.

const BLOCK = 2880;

/** BITPIX, bytes of a pixel, and the zero point of dtypes that FITS has only with the other sign. */
const KINDS = {
  uint8: [8, 1], int8: [8, 1, "-128"], int16: [16, 2], uint16: [16, 2, "32768"], int32: [32, 4], uint32: [32, 4, "2147483648"],
  int64: [64, 8], uint64: [64, 8, "9223372036854775808"], float32: [-32, 4], float64: [-64, 8],
};

const padded = (length) => Math.ceil(length / BLOCK) * BLOCK;

function card(name, value) {
  return `${name.padEnd(8)}= ${String(value).padStart(20)}`.padEnd(80);
}

/** Comments of any length, in printable characters of ASCII. */
function comments(text) {
  return text.replace(/[^ -~]/g, "?").match(/.{1,70}/g)?.map((part) => `COMMENT ${part}`.padEnd(80)) ?? [];
}

/**
 * Real pixels as a file of one image, row 0 first.
 * @param {Pixels} pixels
 * @param {number[]} axes  its lengths, the fastest first
 * @param {object} cards  numbers by the names of their keywords
 * @param {string} comment
 * @returns {ArrayBuffer}
 */
export function fitsOf(pixels, axes, cards, comment) {
  const [bits, size, zero] = KINDS[pixels.sent];
  const header = [
    card("SIMPLE", "T"), card("BITPIX", bits), card("NAXIS", axes.length), ...axes.map((length, k) => card(`NAXIS${k + 1}`, length)),
    ...(zero ? [card("BSCALE", 1), card("BZERO", zero)] : []),
    ...Object.entries(cards).map(([name, value]) => card(name, value)), ...comments(comment), "END".padEnd(80),
  ].join("");
  const begin = padded(header.length);
  const from = new Uint8Array(pixels.raw.buffer, pixels.raw.byteOffset, pixels.raw.byteLength);
  const content = new ArrayBuffer(begin + padded(from.length));
  new Uint8Array(content).fill(32, 0, begin);
  new Uint8Array(content).set(new TextEncoder().encode(header));
  const to = new Uint8Array(content, begin);
  // Largest byte first, and with a zero point the sign turned over.
  const turned = zero ? 0x80 : 0;
  for (let place = 0; place < from.length; place += size) {
    for (let k = 0; k < size; k++) to[place + k] = from[place + size - 1 - k];
    to[place] ^= turned;
  }
  return content;
}
