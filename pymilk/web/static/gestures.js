// Pointers on a canvas: moving, contrast, drawing, the wheel, and two fingers.

/** Pixels of the screen around a side or end of a region by which it is taken hold of: with a pointer, and with a finger. */
const REACH = { mouse: 6, pen: 10, touch: 18 };

/** Let the pointers of a canvas work on a view. */
export function listen(canvas, view) {
  const scale = () => canvas.width / canvas.getBoundingClientRect().width;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * scale(), (event.clientY - box.top) * scale()];
  };
  const grip = (event) => (
    view.settings.draw === "move" ? view.tools.gripAt(at(event), (REACH[event.pointerType] ?? REACH.mouse) * scale()) : null);
  const touching = new Map();
  let held = null;
  const begin = (event) => {
    canvas.setPointerCapture(event.pointerId);
    touching.set(event.pointerId, at(event));
    const contrast = event.button === 2 || event.shiftKey;
    if (touching.size > 1) {
      view.tools.sketch(null);
      if (held?.region) view.tools.drag(held.region, null);
      held = null;
      return;
    }
    held = {
      last: at(event), start: at(event), contrast, draws: !contrast && view.settings.draw !== "move",
      region: contrast ? null : grip(event),
    };
  };
  const move = (event) => {
    const here = at(event);
    if (touching.size === 2 && touching.has(event.pointerId)) {
      pinch(touching, event.pointerId, here, view);
      return;
    }
    view.point(here);
    if (!held) {
      canvas.dataset.grip = grip(event)?.grip ?? "";
      return;
    }
    const [right, down] = [here[0] - held.last[0], here[1] - held.last[1]];
    held.last = here;
    if (held.contrast) view.shade(-down / 200, right / canvas.width);
    else if (held.region) view.tools.drag(held.region, here);
    else if (held.draws) view.tools.sketch(held.start, here);
    else view.framing.pan(right, down);
  };
  const end = (event) => {
    touching.delete(event.pointerId);
    if (held?.region) {
      if (event.type !== "pointerup") view.tools.drag(held.region, null);
      view.tools.drop();
    }
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
