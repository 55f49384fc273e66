// Words of the menus, and the settings of a view that its address keeps.

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
};
