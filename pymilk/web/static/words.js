// Words of the menus, and the settings of a view that its address keeps.

import { ACTS } from "./combine.js";
import { COLOURS, STRETCHES } from "./stretch.js";

export const RULES = ["minmax", "99.5", "99", "95", "zscale"];
export const HOWS = ["mean", "max", "first"];
export const SENDS = ["values", "JPEG 8 bit"];
/** Tools that are about many frames. */
export const HISTORIES = ["history", "history spectrum"];
export const TOOLS = ["none", "histogram", "cuts", "statistics", "profile", "spectrum", ...HISTORIES];
export const STATS = ["value", "mean", "min", "max", "median", "std", "sum"];
export const PARTS = ["amplitude", "phase"];
export const DRAWS = ["move", "box", "circle", "line"];

/** Settings and their usual values. */
export const USUAL = {
  stretch: "linear", colour: "grey", limits: "minmax", how: "mean", turn: "0", tool: "none", auto: "0", low: "",
  high: "", sat: "", slice: "", send: "values", draw: "move", regions: "",
  mean: "1", second: "none", act: "difference", north: "0", element: "0", stat: "value", part: "amplitude", fs: "", map: "",
  zoom: "", at: "", contrast: "", dark: "",
};

const SWITCH = ["0", "1"];
const WORDS = {
  stretch: Object.keys(STRETCHES), colour: Object.keys(COLOURS), limits: RULES, how: HOWS, send: SENDS, tool: TOOLS,
  draw: DRAWS, part: PARTS, act: ACTS, stat: STATS, auto: SWITCH, north: SWITCH, turn: [..."01234567"],
};
/** How many numbers others have; negative: whole ones. */
const NUMBERS = { low: 1, high: 1, sat: 1, fs: 1, zoom: 1, at: 2, contrast: 2, mean: -1, element: -1, slice: -1 };

function wrongWith(name, value) {
  if (!Object.hasOwn(USUAL, name)) return `no setting is called ${name}`;
  if (Object.hasOwn(WORDS, name)) {
    return WORDS[name].includes(value) ? "" : `${name} is one of ${WORDS[name].join(", ")}, not ${value}`;
  }
  if (!Object.hasOwn(NUMBERS, name) || (value === "" && USUAL[name] === "")) return "";
  const numbers = value.split(" ");
  const whole = NUMBERS[name] < 0;
  const good = numbers.length === Math.abs(NUMBERS[name])
    && numbers.every((each) => (whole ? /^\d{1,9}$/.test(each) : each !== "" && Number.isFinite(Number(each))));
  const wanted = whole ? "a number from 0" : NUMBERS[name] > 1 ? "two numbers" : "a number";
  return good ? "" : `${name} is ${wanted}, not ${value}`;
}

/** The settings of an address, with usual values for what is missing or wrong; and what is wrong, in words. */
export function settingsOf(given) {
  const settings = { ...USUAL };
  const wrong = [];
  for (const [name, value] of Object.entries(given)) {
    const why = wrongWith(name, value ?? "");
    if (why) wrong.push(why);
    else settings[name] = value;
  }
  return { settings, wrong: wrong.join("; ").slice(0, 300) };
}
