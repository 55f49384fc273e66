// Curves on a canvas: up to some 100 000 points, by the smallest and largest value of each column.

/**
 * Draw values as a curve; returns the levels of its vertical axis.
 * @param {{low, high, colour, across, over}} options  levels; places of the values, from 0, if they are not evenly
 *   spaced; whether it is drawn over what is there
 */
export function drawCurve(canvas, values, { low, high, colour = "#5aa9e6", across, over } = {}) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const finite = values.filter(Number.isFinite);
  let [bottom, top] = [low, high];
  if (bottom === undefined) {
    bottom = Infinity;
    top = -Infinity;
    for (const value of finite) {
      bottom = Math.min(bottom, value);
      top = Math.max(top, value);
    }
  }
  if (bottom > top) [bottom, top] = [NaN, NaN]; // nothing is finite
  else if (!(bottom < top)) [bottom, top] = [bottom - 1, bottom + 1];
  if (!over) context.clearRect(0, 0, width, height);
  context.strokeStyle = colour;
  context.beginPath();
  const place = (value) => height - 1 - ((value - bottom) / (top - bottom)) * (height - 2);
  if (across) {
    const scale = (width - 1) / (across[across.length - 1] || 1);
    values.forEach((value, k) => context.lineTo(across[k] * scale, place(value)));
    context.stroke();
    return [bottom, top];
  }
  for (let column = 0; column < width; column++) {
    const first = Math.floor((column * values.length) / width);
    const last = Math.max(first + 1, Math.floor(((column + 1) * values.length) / width));
    let [least, most] = [Infinity, -Infinity];
    for (let k = first; k < last; k++) {
      if (values[k] < least) least = values[k];
      if (values[k] > most) most = values[k];
    }
    if (least > most) continue;
    context.lineTo(column + 0.5, place(least));
    if (most > least) context.lineTo(column + 0.5, place(most));
  }
  context.stroke();
  return [bottom, top];
}

/**
 * Let the levels of a histogram be dragged: the one nearer to the pointer follows it.
 * @param {function(): {low, high, levels} | null} shown  what is drawn; null: no histogram
 * @param {function(number[])} take  new levels
 */
export function dragLevels(canvas, shown, take) {
  let which = null;
  const value = (event, { low, high }) => {
    const box = canvas.getBoundingClientRect();
    return low + ((event.clientX - box.left) / box.width) * (high - low);
  };
  canvas.addEventListener("pointerdown", (event) => {
    const now = shown();
    if (!now) return;
    canvas.setPointerCapture(event.pointerId);
    const [lower, upper] = now.levels.map((each) => Math.abs(each - value(event, now)));
    which = lower < upper ? 0 : 1;
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = which === null ? null : shown();
    if (!now) return;
    const levels = [...now.levels];
    levels[which] = value(event, now);
    if (levels[0] < levels[1]) take(levels);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (which = null));
}

/** Draw counts as bars, and two lines at the levels. */
export function drawHistogram(canvas, counts, low, high, levels) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const most = Math.log1p(Math.max(1, ...counts));
  context.clearRect(0, 0, width, height);
  context.fillStyle = "#7a8794";
  counts.forEach((count, k) => {
    const tall = (Math.log1p(count) / most) * (height - 2);
    context.fillRect((k * width) / counts.length, height - tall, Math.max(1, width / counts.length), tall);
  });
  context.fillStyle = "#e6b35a";
  for (const level of levels) context.fillRect(((level - low) / (high - low || 1)) * width - 1, 0, 2, height);
}
