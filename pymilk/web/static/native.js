// Pixels at full resolution, of the very frame that is seen: what was sent if that is all, else asked of the server.

import { Pixels } from "./pixels.js";

const LARGEST = 4096 * 4096;

export class Native {
  /** @param {function(object)} send  sends a message to the server; false if it cannot */
  constructor(send) {
    this.send = send;
    this.waiting = new Map();
    this.next = 1;
  }

  /**
   * Pixels of a frame that hold a rectangle.
   * @param {object} header  of the frame
   * @param {Pixels} pixels  that were sent
   * @param {number[]} part  left, bottom, right, top, in whole pixels
   * @returns {Promise<Pixels | null>}  null if the server has the frame no longer
   */
  async get(header, pixels, part) {
    if (pixels.exact && pixels.holds(part)) return pixels;
    const [left, bottom, right, top] = part;
    if ((right - left) * (top - bottom) > LARGEST || header.frame === undefined) return null;
    const id = this.next++;
    if (!this.send({ cut: { id, frame: header.frame, left, bottom, right, top } })) return null;
    const cut = await new Promise((done) => this.waiting.set(id, done));
    return cut && Object.assign(cut, { phase: pixels.phase });
  }

  /** Take an answer of the server. */
  answer(header, content) {
    this.waiting.get(header.id)?.(header.gone ? null : new Pixels(header, content));
    this.waiting.delete(header.id);
  }

  /** The connection has ended: nothing that was asked for comes. */
  forget() {
    for (const done of this.waiting.values()) done(null);
    this.waiting.clear();
  }
}
