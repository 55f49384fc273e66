// Where north and east are, from keywords of the stream.

import { encoded } from "./elements.js";

const RENEW_MS = 2000;

/**
 * Directions of north and east in the image, [right, up] each and of length 1; null if no keyword says it. The matrix CD1_1,
 * CD1_2, CD2_1, CD2_2 of FITS (axis 1 is right ascension, axis 2 declination), else PC1_1 ... PC2_2 with CDELT1 and CDELT2,
 * else PA: degrees from north through east to the upper side of the image, with east to the left of north.
 */
export function directions(keywords) {
  const number = (name) => (keywords[name] === undefined || keywords[name] === "" ? NaN : Number(keywords[name]));
  const matrix = (name, factors) => [[1, 1], [1, 2], [2, 1], [2, 2]].map(([i, j]) => number(`${name}${i}_${j}`) * factors[i - 1]);
  for (const each of [matrix("CD", [1, 1]), matrix("PC", [number("CDELT1"), number("CDELT2")])]) {
    const [a, b, c, d] = each;
    const scale = a * d - b * c;
    // Columns of the inverse: one pixel to the east, one to the north.
    if (scale) return { east: unit([d / scale, -c / scale]), north: unit([-b / scale, a / scale]) };
  }
  const angle = (number("PA") * Math.PI) / 180;
  if (!Number.isFinite(angle)) return null;
  return { north: [Math.sin(angle), Math.cos(angle)], east: [-Math.cos(angle), Math.sin(angle)] };
}

function unit([x, y]) {
  const length = Math.hypot(x, y);
  return [x / length, y / length];
}

export class Compass {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
  }

  /** Show it or not, as the settings say; keywords are read again from time to time. */
  async apply() {
    clearTimeout(this.timer);
    const { view } = this;
    if (view.settings.north !== "1") this.found = null;
    if (view.settings.north === "1") {
      try {
        const { keywords } = await (await view.ask(`streams/${encoded(view.stream)}`)).json();
        this.found = directions(Object.fromEntries(keywords.map(({ name, value }) => [name, value])));
        view.say(this.found ? "" : "no north: the stream has none of the keywords CD1_1, PC1_1 with CDELT1, PA", "north");
      } catch (error) {
        view.say(`no north: ${error.message}`, "north");
      }
      clearTimeout(this.timer);
      if (!this.closed && view.settings.north === "1") this.timer = setTimeout(() => this.apply(), RENEW_MS);
    } else if (view.account.failed.north) view.say("", "north");
    this.draw();
  }

  draw() {
    this.view.tools.overlay.compass(this.found, this.view);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}
