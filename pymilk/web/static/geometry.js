// Where image pixels are on the canvas: centre, zoom and one of eight orientations. Pixel (0, 0) is lower left, and its
// middle has the coordinates (0.5, 0.5) of this module.

/** The eight orientations: image steps for one canvas pixel to the right, and for one up. */
export const ORIENTATIONS = [
  [1, 0, 0, 1], [0, 1, -1, 0], [-1, 0, 0, -1], [0, -1, 1, 0],
  [-1, 0, 0, 1], [0, 1, 1, 0], [1, 0, 0, -1], [0, -1, -1, 0],
];

/** Centre, zoom (canvas pixels for one of the image) and orientation of a view. */
export class Geometry {
  constructor() {
    this.centre = [0, 0];
    this.zoom = 1;
    this.orientation = 0;
    this.fitted = true;
  }

  /** Steps in the image for one canvas pixel to the right and up, as a matrix by columns. */
  get steps() {
    return ORIENTATIONS[this.orientation].map((each) => each / this.zoom);
  }

  /** Show the whole image of [rows, columns] on a canvas. */
  fit([rows, columns], width, height) {
    const turned = ORIENTATIONS[this.orientation][0] === 0;
    const [across, up] = turned ? [rows, columns] : [columns, rows];
    this.zoom = Math.min(width / across, height / up) || 1;
    this.centre = [columns / 2, rows / 2];
    this.fitted = true;
  }

  /** Image coordinates of the lower left corner of the canvas. */
  origin(width, height) {
    const [ax, ay, bx, by] = this.steps;
    return [this.centre[0] - (ax * width + bx * height) / 2, this.centre[1] - (ay * width + by * height) / 2];
  }

  /** Image coordinates at a canvas pixel, counted from the upper left. */
  toImage(column, row, width, height) {
    const [x, y] = this.origin(width, height);
    const [ax, ay, bx, by] = this.steps;
    const up = height - row;
    return [x + ax * column + bx * up, y + ay * column + by * up];
  }

  /** The canvas pixel of image coordinates, counted from the upper left. */
  toCanvas(x, y, width, height) {
    const [left, bottom] = this.origin(width, height);
    const [ax, ay, bx, by] = ORIENTATIONS[this.orientation];
    const [dx, dy] = [(x - left) * this.zoom, (y - bottom) * this.zoom];
    // The inverse of a turn or mirror is its transpose.
    return [ax * dx + ay * dy, height - (bx * dx + by * dy)];
  }

  /** A direction of the image on the canvas: to the right and down. */
  toScreen(right, up) {
    const [ax, ay, bx, by] = ORIENTATIONS[this.orientation];
    return [ax * right + ay * up, -(bx * right + by * up)];
  }

  /** Show a place of the image in the middle, with a zoom. */
  zoomTo(zoom, centre) {
    this.zoom = Math.min(256, Math.max(1 / 256, zoom));
    this.centre = centre;
    this.fitted = false;
  }

  /** Zoom by a factor around a canvas pixel. */
  zoomAt(factor, column, row, width, height) {
    const before = this.toImage(column, row, width, height);
    this.zoom = Math.min(256, Math.max(1 / 256, this.zoom * factor));
    const after = this.toImage(column, row, width, height);
    this.centre = this.centre.map((each, k) => each + before[k] - after[k]);
    this.fitted = false;
  }

  /** Move the image by canvas pixels. */
  pan(right, down) {
    const [ax, ay, bx, by] = this.steps;
    this.centre = [this.centre[0] - ax * right + bx * down, this.centre[1] - ay * right + by * down];
    this.fitted = false;
  }

  /** What of an image is on the canvas, and how many canvas pixels it takes: as the server is asked for it. */
  wanted([rows, columns], width, height) {
    const corners = [this.toImage(0, 0, width, height), this.toImage(width, height, width, height)];
    const span = (axis, length) => {
      const [first, last] = corners.map((each) => each[axis]).sort((a, b) => a - b);
      return [Math.min(length - 1, Math.max(0, Math.floor(first))), Math.max(1, Math.min(length, Math.ceil(last)))];
    };
    const [left, right] = span(0, columns);
    const [bottom, top] = span(1, rows);
    const room = (length) => Math.max(1, Math.round(length * this.zoom));
    return { left, bottom, right, top, width: room(right - left), height: room(top - bottom) };
  }
}
