// Files of what is seen: a picture with its scale and caption, and the frame itself.

import { encoded, make, save } from "./elements.js";
import { fitsOf } from "./fits.js";
import { text } from "./pixels.js";
import { COLOURS } from "./stretch.js";

const BAR = 46;
const LINE = 16;
const FONT = "12px sans-serif";
const INK = "#e8ecf0";

/** What lies over the image: regions, their numbers, and the arrows to north and east. */
function drawOver(context, overlay) {
  for (const each of overlay.querySelectorAll("polygon, circle, line, rect, text")) {
    const style = getComputedStyle(each);
    const number = (name) => Number(each.getAttribute(name));
    if (each.tagName === "text") {
      context.fillStyle = style.fill;
      context.font = "14px sans-serif";
      context.fillText(each.textContent, number("x"), number("y"));
      continue;
    }
    context.strokeStyle = style.stroke;
    context.lineWidth = 1.5;
    context.beginPath();
    if (each.tagName === "circle") context.arc(number("cx"), number("cy"), number("r"), 0, 2 * Math.PI);
    else if (each.tagName === "rect") context.rect(...["x", "y", "width", "height"].map(number));
    else if (each.tagName === "line") {
      context.moveTo(number("x1"), number("y1"));
      context.lineTo(number("x2"), number("y2"));
    } else {
      for (const place of each.getAttribute("points").split(" ")) context.lineTo(...place.split(",").map(Number));
      context.closePath();
    }
    context.stroke();
  }
}

/** Words in lines that are not wider than this. */
function linesOf(context, words, width) {
  const lines = [""];
  for (const word of words.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (lines.at(-1) && context.measureText(longer).width > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/** A PNG of a canvas with a caption below, and above it what `scale` draws at a height; as a Promise. */
function pictureOf(canvas, caption, { overlay, scale }) {
  const picture = make("canvas", { width: Math.max(canvas.width, 360) });
  const context = picture.getContext("2d");
  context.font = FONT;
  const lines = linesOf(context, caption, picture.width - 16);
  const above = scale ? BAR - LINE : 8;
  picture.height = canvas.height + above + LINE * lines.length;
  context.fillStyle = "#111418";
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(canvas, 0, 0);
  if (overlay) drawOver(context, overlay);
  context.font = FONT;
  scale?.(context, canvas.height);
  context.fillStyle = INK;
  lines.forEach((line, k) => context.fillText(line, 8, canvas.height + above + 8 + LINE * k));
  return new Promise((done) => picture.toBlob(done));
}

/** The colours from the lower to the upper level. */
function scaleOf({ colour, stretch }, levels) {
  return (context, top) => {
    for (let column = 0; column < 200; column++) {
      context.fillStyle = `rgb(${COLOURS[colour](column / 199)})`;
      context.fillRect(8 + column, top + 8, 1, 12);
    }
    context.fillStyle = INK;
    context.fillText(`${text(levels[0])} to ${text(levels[1])}, ${stretch}`, 216, top + 18);
  };
}

/** Save a picture of what a view shows: its image with what lies over it, or its curve. */
export async function savePicture(view) {
  const { header, curve, tools, settings, levels, stream } = view;
  if (!header) {
    view.say("there is no picture: no frame has come yet");
    return;
  }
  view.paint();
  const lossy = header.lossy ? ", JPEG, lossy" : "";
  const content = curve ? await pictureOf(tools.plot, `${stream}, ${tools.report.textContent}`, {})
    : await pictureOf(view.canvas, `${stream}, frame ${header.cnt0}${lossy}${view.calibration()}`,
      { overlay: tools.overlay.element, scale: scaleOf(settings, levels) });
  save(content, `${stream}.png`);
}

/** Real and imaginary parts of complex pixels, one image after the other: FITS has no complex numbers. */
function partsOf({ raw, sent }) {
  const half = raw.length / 2;
  const parts = new raw.constructor(raw.length);
  for (let place = 0; place < half; place++) [parts[place], parts[half + place]] = [raw[2 * place], raw[2 * place + 1]];
  return { raw: parts, sent };
}

/**
 * Save the frame that is seen, as the stream holds it; what is seen of several frames, or without a dark, as it is. Only if
 * the page cannot have it (images of more than 4096 x 4096), the newest one comes from the server.
 */
export async function saveFrame(view) {
  const { header, shape } = view;
  if (!header) {
    view.say("there is no file: no frame has come yet");
    return;
  }
  try {
    const done = view.calibration();
    const pixels = done ? view.seen() : await view.native([0, 0, shape[1], shape[0]]);
    const name = `${view.stream}.fits`;
    if (!pixels) {
      save(await (await view.ask(`streams/${encoded(view.stream)}/frame.fits`)).blob(), name);
      return;
    }
    const axes = header.shape.length === 1 ? [pixels.columns] : [pixels.columns, pixels.rows];
    const where = done ? `; pixels ${pixels.left} to ${pixels.right - 1}, ${pixels.bottom} to ${pixels.top - 1}, ${pixels.across} by ${pixels.down} became one` : "";
    if (pixels.complex) axes.push(2);
    const parts = pixels.complex ? "; real, then imaginary parts" : "";
    const said = `stream ${view.stream}${done}${where}${parts}`;
    save(new Blob([fitsOf(parts ? partsOf(pixels) : pixels, axes, { CNT0: header.cnt0 }, said)]), name);
  } catch (error) {
    view.say(error.message);
  }
}
