// Files of what is seen: a picture with its scale and caption, and the frame itself.

import { make, save } from "./elements.js";
import { text } from "./pixels.js";
import { COLOURS } from "./stretch.js";

const BAR = 46;

/** A PNG of a canvas, with the colours from the lower to the upper level, and a caption below; as a Promise. */
function pictureOf(canvas, { colour, stretch }, levels, caption) {
  const picture = make("canvas", { width: Math.max(canvas.width, 360), height: canvas.height + BAR });
  const context = picture.getContext("2d");
  context.fillStyle = "#111418";
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(canvas, 0, 0);
  for (let column = 0; column < 200; column++) {
    context.fillStyle = `rgb(${COLOURS[colour](column / 199)})`;
    context.fillRect(8 + column, canvas.height + 8, 1, 12);
  }
  context.fillStyle = "#e8ecf0";
  context.font = "12px sans-serif";
  context.fillText(`${text(levels[0])} to ${text(levels[1])}, ${stretch}`, 216, canvas.height + 18);
  context.fillText(caption, 8, canvas.height + 38);
  return new Promise((done) => picture.toBlob(done));
}

/** Save a picture of what a view shows. */
export async function savePicture(view) {
  view.paint();
  const caption = `${view.stream}, frame ${view.header.cnt0}${view.header.lossy ? ", JPEG, lossy" : ""}${view.calibration()}`;
  save(await pictureOf(view.canvas, view.settings, view.levels, caption), `${view.stream}.png`);
}

/** Save the newest frame of a view's stream as a file. */
export async function saveFrame(view, kind) {
  try {
    save(await (await view.ask(`streams/${encodeURIComponent(view.stream)}/frame.${kind}`)).blob(), `${view.stream}.${kind}`);
  } catch (error) {
    view.say(error.message);
  }
}
