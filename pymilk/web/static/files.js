// Images from files of NPY and FITS, as rows and columns of numbers.

/** Read what is in a file: shape [rows, columns], values, row 0 first, and kind. Of a cube, the mean of its images. */
export function readImage(content) {
  const start = new Uint8Array(content, 0, Math.min(6, content.byteLength));
  const name = String.fromCharCode(...start);
  if (name === "\x93NUMPY") return flat(readNpy(content));
  if (name === "SIMPLE") return flat(readFits(content));
  throw new Error("the file is neither NPY nor FITS");
}

function flat({ shape, values, kind }) {
  const axes = shape.filter((length) => length !== 1);
  while (axes.length < 2) axes.unshift(1);
  if (axes.length > 3) throw new Error(`the file has ${shape.length} axes: an image has 2, a cube 3`);
  if (axes.length === 2) return { shape: axes, values, kind };
  const [count, rows, columns] = axes;
  const mean = new Float64Array(rows * columns);
  for (let k = 0; k < values.length; k++) mean[k % mean.length] += values[k] / count;
  return { shape: [rows, columns], values: mean, kind: "f8" };
}

const GETS = {
  u1: "getUint8", b1: "getUint8", i1: "getInt8", u2: "getUint16", i2: "getInt16", u4: "getUint32", i4: "getInt32",
  u8: "getBigUint64", i8: "getBigInt64", f4: "getFloat32", f8: "getFloat64",
};

function numbers(content, offset, kind, little, count) {
  const size = Number(kind[1]);
  if (offset + size * count > content.byteLength) throw new Error("the file ends before its pixels do");
  const data = new DataView(content, offset);
  const values = new Float64Array(count);
  for (let k = 0; k < count; k++) values[k] = Number(data[GETS[kind]](k * size, little));
  return values;
}

function readNpy(content) {
  const data = new DataView(content);
  const bytes = content.byteLength;
  const old = bytes > 6 && data.getUint8(6) === 1;
  const begin = old ? 10 : 12;
  const length = bytes < begin ? bytes : old ? data.getUint16(8, true) : data.getUint32(8, true);
  if (begin + length > bytes) throw new Error("the file ends before its header does");
  const header = new TextDecoder("latin1").decode(new Uint8Array(content, begin, length));
  const [, order, kind] = header.match(/'descr':\s*'([<>|=])(\w+)'/) ?? [];
  const [, numbersOf] = header.match(/'shape':\s*\(([^)]*)\)/) ?? [];
  if (!GETS[kind] || numbersOf === undefined) throw new Error("the file holds no integers, float32 or float64");
  if (/'fortran_order':\s*True/.test(header)) throw new Error("the file is in Fortran order: save it in C order");
  const shape = numbersOf.split(",").filter((each) => each.trim()).map(Number);
  const count = shape.reduce((product, each) => product * each, 1);
  return { shape, kind, values: numbers(content, begin + length, kind, order !== ">", count) };
}

const BLOCK = 2880;
const KINDS = { 8: "u1", 16: "i2", 32: "i4", 64: "i8", "-32": "f4", "-64": "f8" };

/** The first HDU with an image in it. */
function readFits(content) {
  for (let offset = 0; offset < content.byteLength;) {
    const { cards, behind } = readCards(content, offset);
    const shape = Array.from({ length: Number(cards.NAXIS ?? 0) }, (_, k) => Number(cards[`NAXIS${k + 1}`])).reverse();
    const count = shape.reduce((product, each) => product * each, shape.length ? 1 : 0);
    if (count && (cards.SIMPLE || cards.XTENSION?.startsWith("'IMAGE"))) {
      const kind = KINDS[cards.BITPIX];
      if (!kind) throw new Error(`BITPIX is ${cards.BITPIX}`);
      const values = numbers(content, behind, kind, false, count);
      const [scale, zero] = [Number(cards.BSCALE ?? 1), Number(cards.BZERO ?? 0)];
      const blank = kind[0] === "f" || cards.BLANK === undefined ? NaN : Number(cards.BLANK);
      return { shape, kind, values: values.map((each) => (each === blank ? NaN : each * scale + zero)) };
    }
    const nbytes = (Math.abs(Number(cards.BITPIX)) / 8) * (count + Number(cards.PCOUNT ?? 0));
    offset = behind + Math.ceil(nbytes / BLOCK) * BLOCK;
  }
  throw new Error("the file has no image that is not compressed");
}

function readCards(content, offset) {
  const cards = {};
  for (let place = offset; place + 80 <= content.byteLength; place += 80) {
    const card = new TextDecoder("latin1").decode(new Uint8Array(content, place, 80));
    const name = card.slice(0, 8).trim();
    if (name === "END") return { cards, behind: offset + Math.ceil((place + 80 - offset) / BLOCK) * BLOCK };
    if (card.slice(8, 10) === "= ") cards[name] ??= card.slice(10).split("/")[0].trim();
  }
  throw new Error("the header of the file has no end");
}
