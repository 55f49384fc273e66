// Menus and buttons above the image of a view.

import { button, make, menu } from "./elements.js";
import { saveFrame, savePicture } from "./picture.js";
import { COLOURS, STRETCHES } from "./stretch.js";
import { DRAWS, HOWS, PARTS, RULES, SENDS, TOOLS } from "./words.js";

/** Make them. The view keeps its menus as `choices`, by the names of its settings, and `freezer` and `renewer`. */
export function toolbar(view, closed) {
  const choice = (name, words, label) => {
    const select = menu(words, label, view.settings[name], (value) => view.set(name, value));
    select.setAttribute("aria-label", `${label} of ${view.stream}`);
    view.choices[name] = select;
    return select;
  };
  view.freezer = button("Freeze", "Stand still (x)", () => view.freeze());
  view.freezer.setAttribute("aria-pressed", "false");
  const renew = () => view.set("auto", view.settings.auto === "1" ? "0" : "1");
  view.choices.slice = make("input", { type: "number", min: "0", step: "1", value: view.settings.slice, title: "Slice of a cube, from 0; empty: the one written last" });
  view.choices.slice.setAttribute("aria-label", `Slice of ${view.stream}`);
  view.choices.slice.addEventListener("change", () => view.turnTo(view.choices.slice.value.trim()));
  view.slicer = make("label", { hidden: view.settings.slice === "" }, "Slice ", view.choices.slice);
  view.renewer = button("Auto", "Limits from each frame, or as they are (A)", renew);
  view.renewer.setAttribute("aria-pressed", String(view.settings.auto === "1"));
  return make("div", { className: "tools" },
    choice("stretch", Object.keys(STRETCHES), "Stretch"), choice("colour", Object.keys(COLOURS), "Colour map"),
    choice("limits", RULES, "Limits"), choice("how", HOWS, "Pixels that there is no room for"),
    choice("send", SENDS, "What is sent: JPEG is for slow links, and lossy"),
    choice("tool", TOOLS, "Tool"), choice("draw", DRAWS, "What a drag does"), choice("part", PARTS, "Part of complex numbers"), view.slicer, view.freezer,
    button("Levels", "Limits from this frame (a)", () => view.relevel()),
    view.renewer, button("Fit", "The whole image (f)", () => view.framing.fit()),
    button("Turn", "Next orientation (o)", () => view.framing.turn()),
    button("PNG", "Save what is seen", () => savePicture(view)),
    button("FITS", "Save the frame that is seen", () => saveFrame(view)),
    button("Close", "Close this view", () => closed(view)));
}
