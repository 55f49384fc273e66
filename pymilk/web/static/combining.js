// The panel for dark, mean and second image of a view.

import { ACTS, SECONDS } from "./combine.js";
import { button, encoded, make, menu, openFile } from "./elements.js";
import { readImage } from "./files.js";

/** Make the panel. */
export function combining(view) {
  const names = async () => (await (await view.ask("streams")).json()).map(({ name }) => name);
  const number = (label, value, act) => {
    const input = make("input", { type: "number", min: "1", max: "1000", value, title: label });
    input.setAttribute("aria-label", `${label} of ${view.stream}`);
    input.addEventListener("change", () => act?.(input.value));
    return input;
  };
  const second = menu([...new Set([...SECONDS, view.settings.second])], "Second image", view.settings.second, (name) => view.set("second", name));
  const source = menu(["choose a stream"], "Dark from a stream", "choose a stream", async (name) => {
    if (source.selectedIndex) await darkFrom(view, name);
    source.selectedIndex = 0;
  });
  source.hidden = view.alone;
  const saturated = make("input", { type: "number", step: "any", value: view.settings.sat, title: "Saturated from" });
  saturated.setAttribute("aria-label", `Saturated from, of ${view.stream}`);
  saturated.addEventListener("change", () => view.set("sat", saturated.value));
  view.choices.sat = saturated;
  const frames = number("Frames of the dark", "1");
  const panel = make("details", { className: "combining" },
    make("summary", {}, "Levels, dark, mean, second image, saturation"),
    make("p", {}, "Levels from ", level(view, "low", "Lower level"), " to ", level(view, "high", "Upper level")),
    make("p", {}, "Dark: ", frames, button("Take", "The mean of so many frames from now on is the dark", () => view.takeDark(Number(frames.value))),
      source, button("From a file", "A dark from a file of FITS or NPY", () => openFile(".fits,.fit,.fts,.npy", (content, name) => take(view, () => content, name))),
      button("No dark", "Take no dark away", () => view.dark.set(null, null))),
    make("p", {}, "Mean of the last ", number("Frames of the mean", view.settings.mean, (count) => view.set("mean", count)), " frames"),
    make("p", {}, "Second image: ", second, menu(ACTS, "What is done with it", view.settings.act, (act) => view.set("act", act))),
    make("p", {}, "Pixels are saturated from ", saturated));
  panel.addEventListener("toggle", async () => {
    if (!panel.open || view.alone) return;
    try {
      const known = await names();
      const more = (select, first) => select.replaceChildren(...first.map((textContent) => make("option", { textContent })));
      more(second, [...new Set([...SECONDS, view.settings.second, ...known])]);
      second.value = view.settings.second;
      more(source, ["choose a stream", ...known]);
    } catch (error) {
      view.say(error.message);
    }
  });
  return panel;
}

/** A field for one of the two levels. */
function level(view, name, label) {
  const input = make("input", { type: "number", step: "any", value: view.settings[name], title: label });
  input.setAttribute("aria-label", `${label} of ${view.stream}`);
  input.addEventListener("change", () => {
    const levels = ["low", "high"].map((each) => Number(view.choices[each].value || NaN));
    const good = levels.every(Number.isFinite) && levels[0] < levels[1];
    view.say(good ? "" : "levels are two numbers, the lower one first", "levels");
    if (good) view.choose(levels);
  });
  view.choices[name] = input;
  return input;
}

/** Take the newest frame of a stream as the dark. */
export function darkFrom(view, name) {
  const path = `streams/${encoded(name)}/frame.npy`;
  return take(view, async () => (await view.ask(path)).arrayBuffer(), name, name);
}

/** Take the image of a file as the dark. */
async function take(view, content, name, stream = null) {
  try {
    const { shape, values } = readImage(await content());
    if (shape.join() !== view.shape?.join()) throw new Error(`${shape.join("x")} pixels, the image has ${view.shape?.join("x")}`);
    view.dark.set(shape, values, name, stream);
  } catch (error) {
    view.say(`no dark from ${name}: ${error.message}`);
  }
}
