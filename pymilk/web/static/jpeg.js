// Frames that come as a JPEG: 8 bits, with loss. What the page works with are values all the same.

/** The values of a frame: grey 0 and 255 are the levels of its header, which becomes one of float32. */
export async function decoded(header, content) {
  const picture = await createImageBitmap(new Blob([content], { type: "image/jpeg" }));
  const [rows, columns] = header.size;
  const context = new OffscreenCanvas(columns, rows).getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, columns, rows);
  const [low, high] = header.levels;
  const values = new Float32Array(rows * columns);
  for (let place = 0; place < values.length; place++) values[place] = low + (data[4 * place] / 255) * (high - low);
  Object.assign(header, { sent: "float32", lossy: true });
  if (header.dtype.startsWith("complex")) header.dtype = "float32"; // amplitudes
  return new Uint8Array(values.buffer);
}
