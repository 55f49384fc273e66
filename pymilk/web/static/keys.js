// Keys of a view: what each does, and the list of them that the page shows.

import { ORIENTATIONS } from "./geometry.js";
import { COLOURS } from "./stretch.js";
import { HOWS, RULES } from "./words.js";

const after = (words, word) => words[(words.indexOf(word) + 1) % words.length];
const next = (name, words) => (view) => view.set(name, after(words, view.settings[name]));
const between = (name, word, other) => (view) => view.set(name, view.settings[name] === word ? other : word);
const pan = (right, down) => (view) => view.framing.pan(right, down);

/** Key, what it does in words, and the act. Several keys for one act are a list. */
const TABLE = [
  ["x", "freeze, and go on", (view) => view.freeze()],
  ["a", "limits from what is seen", (view) => view.relevel()],
  ["A", "limits from each frame, or as they are", between("auto", "1", "0")],
  ["z", "next rule for limits", next("limits", RULES)],
  ["L", "limits from the region chosen", (view) => view.tools.limits()],
  ["l", "logarithmic or linear", between("stretch", "log", "linear")],
  ["c", "next colour map", next("colour", Object.keys(COLOURS))],
  ["P", "phase or amplitude of complex numbers", between("part", "phase", "amplitude")],
  ["w", "next way to make pixels fewer", next("how", HOWS)],
  ["D", "take this frame as the dark, or no dark", (view) => view.takeDark()],
  ["m", "mean of 8 frames, or each one", (view) => view.set("mean", Number(view.settings.mean) > 1 ? "1" : "8")],
  ["d", "difference to the frame that is seen now, or no difference", (view) => view.pair("difference")],
  ["B", "blink with the frame that is seen now, or no blinking", (view) => view.pair("blink")],
  ["S", "colour of saturated pixels, on and off", (view) => view.saturate()],
  ["s", "statistics of regions, or none", between("tool", "statistics", "none")],
  ["h", "histogram", between("tool", "histogram", "none")],
  ["u", "row and column under the pointer", between("tool", "cuts", "none")],
  ["p", "radial profile of the region chosen", between("tool", "profile", "none")],
  ["b", "draw a box", between("draw", "box", "move")],
  ["i", "draw a circle", between("draw", "circle", "move")],
  ["k", "draw a line", between("draw", "line", "move")],
  ["Delete", "take away the region chosen", (view) => view.tools.remove()],
  ["t", "spectrum of a stream of one axis", between("tool", "spectrum", "none")],
  ["y", "history of a value or statistic", between("tool", "history", "none")],
  ["Y", "spectrum of that history", between("tool", "history spectrum", "none")],
  ["]", "next slice of a cube", (view) => view.step(1)], ["[", "the slice before", (view) => view.step(-1)],
  ["n", "north and east", between("north", "1", "0")],
  ["o", `next of the ${ORIENTATIONS.length} orientations`, (view) => view.framing.turn()],
  ["f", "the whole image", (view) => view.framing.fit()],
  ["+", "larger", (view) => view.framing.zoomBy(2)],
  ["-", "smaller", (view) => view.framing.zoomBy(0.5)],
  ["r", "contrast and bias as they were, and limits from what is seen", (view) => view.plain()],
  ["ArrowLeft", "move the image to the right", pan(32, 0)], ["ArrowRight", "to the left", pan(-32, 0)],
  ["ArrowUp", "down", pan(0, 32)], ["ArrowDown", "up", pan(0, -32)],
];

const REST = [
  ["1 to 9", "so many screen pixels a pixel"], ["drag", "move the image or the region there, size it by its edge, or draw"],
  ["Shift-drag, right drag", "contrast (up, down) and bias (left, right)"], ["wheel, two fingers", "zoom"],
  ["/", "search"], ["?", "these keys"],
];

/** All keys, and what they do, for a list. */
export const KEYS = [...TABLE.map(([key, does]) => [key, does]), ...REST];

const ACTS = new Map(TABLE.map(([key, , act]) => [key, act]));

/** Do what a key does in a view. */
export function press(view, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const { tagName } = event.target;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(tagName)) return;
  // Beside the image and its curve, arrows move the page, and buttons of regions have their own.
  if (tagName !== "CANVAS" && /^(Arrow|Delete)/.test(event.key)) return;
  const act = /^[1-9]$/.test(event.key) ? () => view.framing.zoomTo(Number(event.key)) : ACTS.get(event.key);
  if (!act) return;
  event.preventDefault();
  act(view);
}
