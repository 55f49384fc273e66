// What a view says of its frames, always.

import { text } from "./pixels.js";

/** The account in words: `state` as the server tells it, and how many frames a second were painted. */
export function accountOf({ shown, skipped, rate, cnt0, lives }, drawn) {
  const source = rate === null || rate === undefined ? "-" : text(Math.round(rate * 10) / 10);
  return `frame ${cnt0 ?? "-"}, source ${source}/s, shown ${drawn}/s, ${shown ?? 0} shown + ${skipped ?? 0} skipped`
    + (lives > 1 ? `, recreated or restarted ${lives - 1} times` : "");
}
