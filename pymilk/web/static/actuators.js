// Commands of a deformable mirror, one axis of numbers, on the grid of its actuators.

/**
 * Read a map. Of unsigned integers: pixels other than 0 are actuators, in the order of pixels, row 0 first. Of other
 * numbers: each pixel is the number of its actuator, from 0; a negative one, or one that is not finite, has none.
 * @param {{shape, values, kind}} map  as read from a file
 * @returns {{shape: number[], places: Int32Array}}  the number of the actuator of each pixel, or -1
 */
export function gridOf({ shape, values, kind }) {
  let next = 0;
  const mask = kind.startsWith("u") || kind.startsWith("b");
  const places = Int32Array.from(values, (value) => {
    if (mask) return value ? next++ : -1;
    return value >= 0 && Number.isFinite(value) ? Math.round(value) : -1;
  });
  return { shape, places, count: places.reduce((most, each) => Math.max(most, each + 1), 0) };
}

/** A frame of commands as one of an image on the grid; pixels without an actuator are NaN. */
export function onGrid(grid, header, pixels) {
  if (grid.count > pixels.columns) {
    throw new Error(`the map has ${grid.count} actuators, the stream ${pixels.columns} values`);
  }
  const [rows, columns] = grid.shape;
  const values = Float32Array.from(grid.places, (place) => (place < 0 ? NaN : pixels.at(place, 0)));
  const made = { ...header, shape: grid.shape, size: grid.shape, region: [0, 0, columns, rows], bins: [1, 1], sent: "float32", exact: true };
  if (header.dtype.startsWith("complex")) made.dtype = "float32"; // amplitudes
  delete made.frame; // the server knows no pixels of the grid
  return [made, new Uint8Array(values.buffer)];
}
