// Files of what is seen: a picture with its scale and caption, and the frame itself.

import { make, save } from "./elements.js";
import { fitsOf } from "./fits.js";
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

/**
 * Save the frame that is seen, as the stream holds it; what is seen of several frames, or without a dark, as it is. Only if
 * the page cannot have it (complex pixels, images of more than 4096 x 4096), the newest one comes from the server.
 */
export async function saveFrame(view) {
  const { header, shape } = view;
  if (!header) return;
  try {
    const done = view.calibration();
    const whole = done || view.raw.complex ? null : await view.native([0, 0, shape[1], shape[0]]);
    const pixels = done ? view.seen() : whole;
    const name = `${view.stream}.fits`;
    if (!pixels || pixels.complex) {
      save(await (await view.ask(`streams/${encodeURIComponent(view.stream)}/frame.fits`)).blob(), name);
      return;
    }
    const axes = header.shape.length === 1 ? [pixels.columns] : [pixels.columns, pixels.rows];
    const where = done ? `; pixels ${pixels.left} to ${pixels.right - 1}, ${pixels.bottom} to ${pixels.top - 1}, ${pixels.across} by ${pixels.down} became one` : "";
    save(new Blob([fitsOf(pixels, axes, { CNT0: header.cnt0 }, `stream ${view.stream}${done}${where}`)]), name);
  } catch (error) {
    view.say(error.message);
  }
}
