// Pointers on a canvas: moving, contrast, drawing, the wheel, and two fingers.

/** Let the pointers of a canvas work on a view. */
export function listen(canvas, view) {
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  const touching = new Map();
  let held = null;
  const begin = (event) => {
    canvas.setPointerCapture(event.pointerId);
    touching.set(event.pointerId, at(event));
    const contrast = event.button === 2 || event.shiftKey;
    held = { last: at(event), start: at(event), contrast, draws: !contrast && view.settings.draw !== "move" };
    if (touching.size > 1) {
      view.tools.sketch(null);
      held = null;
    }
  };
  const move = (event) => {
    const here = at(event);
    if (touching.size === 2 && touching.has(event.pointerId)) {
      pinch(touching, event.pointerId, here, view);
      return;
    }
    view.point(here);
    if (!held) return;
    const [right, down] = [here[0] - held.last[0], here[1] - held.last[1]];
    held.last = here;
    if (held.contrast) view.shade(-down / 200, right / canvas.width);
    else if (held.draws) view.tools.sketch(held.start, here);
    else view.framing.pan(right, down);
  };
  const end = (event) => {
    touching.delete(event.pointerId);
    if (held?.draws && event.type === "pointerup") view.tools.add(held.start, at(event));
    held = null;
  };
  canvas.addEventListener("pointerdown", begin);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => view.point(null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.framing.zoomBy(Math.exp(-event.deltaY / 500), ...at(event));
  }, { passive: false });
}

/** One of two fingers has moved: zoom by their distance, and move with their middle. */
function pinch(touching, id, here, view) {
  const [other] = [...touching].filter(([each]) => each !== id).map(([, place]) => place);
  const before = touching.get(id);
  const apart = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
  const [x, y] = [(before[0] + other[0]) / 2, (before[1] + other[1]) / 2];
  view.framing.zoomBy(apart(here) / apart(before), x, y);
  view.framing.pan((here[0] - before[0]) / 2, (here[1] - before[1]) / 2);
  touching.set(id, here);
}
