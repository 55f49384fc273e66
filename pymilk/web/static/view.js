// One view: a stream on a canvas, with its account, its settings and its tools.

import { drawCurve, drawHistogram } from "./curve.js";
import { Geometry, ORIENTATIONS } from "./geometry.js";
import { painterFor } from "./painter.js";
import { Pixels, histogram, limits, statistics, text } from "./pixels.js";
import { Link, ask } from "./server.js";
import { COLOURS, STRETCHES } from "./stretch.js";

const RULES = ["minmax", "99.5", "99", "95", "zscale"];
const HOWS = ["mean", "max", "first"];
const SENDS = ["values", "JPEG 8 bit"];
const STALE_SECONDS = 2;
const TOOLS = ["none", "histogram", "cuts", "statistics"];

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/** Settings of a view that its address keeps, and their usual values. */
const USUAL = {
  stretch: "linear", colour: "grey", limits: "minmax", how: "mean", turn: "0", tool: "none", auto: "0", low: "",
  high: "", sat: "", slice: "", send: "values",
};

export class View {
  /**
   * @param {string} stream
   * @param {object} given  settings of the address
   * @param {function()} changed  settings have changed
   * @param {function(View)} closed
   */
  constructor(stream, given, changed, closed) {
    this.stream = stream;
    this.settings = { ...USUAL, ...given };
    this.changed = changed;
    this.geometry = new Geometry();
    this.contrast = [1, 0.5];
    this.levels = null;
    this.frozen = false;
    this.paintedAt = [];
    this.build(closed);
    this.geometry.orientation = Number(this.settings.turn) % ORIENTATIONS.length;
    if (this.settings.low !== "" && this.settings.high !== "") {
      this.levels = [Number(this.settings.low), Number(this.settings.high)];
    }
    this.link = new Link(stream, (header, content) => this.take(header, content), (state) => this.tell(state),
      (why) => this.lost(why));
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.canvas);
  }

  build(closed) {
    this.canvas = make("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `image of stream ${this.stream}`);
    this.painter = painterFor(this.canvas);
    this.trouble = make("p", { className: "trouble" });
    this.pointer = make("output", { className: "pointer" });
    this.account = make("p", { className: "account" });
    this.plot = make("canvas", { className: "plot", width: 512, height: 90, hidden: true });
    this.report = make("p", { className: "report", hidden: true });
    const choice = (name, words, label) => {
      const select = make("select", { title: label }, ...words.map((word) => make("option", { textContent: word })));
      select.setAttribute("aria-label", `${label} of ${this.stream}`);
      select.value = this.settings[name];
      select.addEventListener("change", () => this.set(name, select.value));
      this.choices[name] = select;
      return select;
    };
    this.choices = {};
    const button = (label, title, act) => {
      const made = make("button", { type: "button", textContent: label, title });
      made.addEventListener("click", act);
      return made;
    };
    this.freezer = button("Freeze", "Stand still (x)", () => this.freeze());
    this.freezer.setAttribute("aria-pressed", "false");
    this.element = make("section", { className: "view" },
      make("h2", {}, this.stream),
      make("div", { className: "tools" },
        choice("stretch", Object.keys(STRETCHES), "Stretch"), choice("colour", Object.keys(COLOURS), "Colour map"),
        choice("limits", RULES, "Limits"), choice("how", HOWS, "Pixels that there is no room for"),
        choice("send", SENDS, "What is sent: JPEG is for slow links, and lossy"),
        choice("tool", TOOLS, "Tool"), this.freezer,
        button("Levels", "Limits from this frame (a)", () => this.relevel()),
        button("Fit", "The whole image (f)", () => this.fit()), button("Turn", "Next orientation (o)", () => this.turn()),
        button("PNG", "Save what is seen", () => this.savePicture()),
        button("FITS", "Save the newest frame", () => this.saveFile("fits")),
        button("Close", "Close this view", () => closed(this))),
      make("div", { className: "stage" }, this.canvas, this.trouble, this.pointer),
      this.plot, this.report, this.account);
    this.element.setAttribute("aria-label", `view of ${this.stream}`);
    this.listen();
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const scale = canvas.width / box.width;
      return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    };
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held = { last: at(event), contrast: event.button === 2 || event.shiftKey };
    });
    canvas.addEventListener("pointermove", (event) => {
      const here = at(event);
      this.point(here);
      if (!held) return;
      const [right, down] = [here[0] - held.last[0], here[1] - held.last[1]];
      held.last = here;
      if (held.contrast) {
        this.contrast = [Math.max(0, this.contrast[0] * Math.exp(-down / 200)), this.contrast[1] + right / canvas.width];
        this.repaint();
      } else {
        this.geometry.pan(right, down);
        this.moved();
      }
    });
    canvas.addEventListener("pointerup", () => (held = null));
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.geometry.zoomAt(Math.exp(-event.deltaY / 500), ...at(event), canvas.width, canvas.height);
      this.moved();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** What a key does, as in the list of keys. */
  key(event) {
    const next = (name, words) => this.set(name, words[(words.indexOf(this.settings[name]) + 1) % words.length]);
    const acts = {
      x: () => this.freeze(), a: () => this.relevel(), f: () => this.fit(), o: () => this.turn(),
      l: () => this.set("stretch", this.settings.stretch === "log" ? "linear" : "log"),
      s: () => this.set("tool", this.settings.tool === "statistics" ? "none" : "statistics"),
      h: () => this.set("tool", this.settings.tool === "histogram" ? "none" : "histogram"),
      c: () => next("colour", Object.keys(COLOURS)), z: () => next("limits", RULES),
      D: () => this.takeDark(), r: () => { this.contrast = [1, 0.5]; this.repaint(); },
      "+": () => this.zoomBy(2), "-": () => this.zoomBy(0.5),
    };
    if (/^[1-9]$/.test(event.key)) acts[event.key] = () => this.zoomTo(Number(event.key));
    if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  /** Change a setting, as the menus do. */
  set(name, value) {
    this.settings[name] = value;
    if (this.choices[name]) this.choices[name].value = value;
    if (name === "limits") this.relevel();
    this.changed();
    if (name === "how" || name === "send") this.moved();
    this.repaint();
  }

  freeze() {
    this.frozen = !this.frozen;
    this.freezer.setAttribute("aria-pressed", String(this.frozen));
    this.tell({ kind: "frozen" });
    if (this.frozen) return;
    // One more frame may have come meanwhile: it counts as shown, so it is.
    if (this.pending) this.take(...this.pending);
    else this.ready();
  }

  /** New limits from the pixels that are seen; without this they stay as they are. */
  relevel() {
    if (!this.pixels) return;
    this.levels = limits(this.pixels, this.settings.limits);
    [this.settings.low, this.settings.high] = this.levels.map(String);
    this.changed();
    this.repaint();
  }

  turn() {
    this.geometry.orientation = (this.geometry.orientation + 1) % ORIENTATIONS.length;
    this.set("turn", String(this.geometry.orientation));
    if (this.geometry.fitted) this.fit();
    else this.moved();
  }

  fit() {
    if (!this.shape) return;
    this.geometry.fit(this.shape, this.canvas.width, this.canvas.height);
    this.moved();
  }

  zoomBy(factor) {
    this.geometry.zoomAt(factor, this.canvas.width / 2, this.canvas.height / 2, this.canvas.width, this.canvas.height);
    this.moved();
  }

  zoomTo(zoom) {
    this.zoomBy(zoom / this.geometry.zoom);
  }

  /** The dark is the frame that is seen; once more takes it away. */
  takeDark() {
    if (!this.pixels || this.pixels.complex) return;
    const { left, bottom, columns, rows } = this.pixels;
    this.dark = this.dark ? null : { at: [left, bottom, columns, rows].join(), values: Float32Array.from(this.pixels.raw) };
    this.relevel();
  }

  resize() {
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * scale));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * scale));
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    if (this.geometry.fitted) this.fit();
    else this.moved();
  }

  moved() {
    this.repaint();
    clearTimeout(this.asking);
    this.asking = setTimeout(() => { if (!this.frozen) this.ready(); }, 60);
  }

  /** Tell the server that it may send the newest frame, and which part of it. */
  ready() {
    const jpeg = this.settings.send === "values" ? {} : { jpeg: this.settings.limits };
    this.link.ready({ ...this.wanted(), how: this.settings.how, ...jpeg, ...this.slice() });
  }

  wanted() {
    if (!this.shape) return { width: this.canvas.width, height: this.canvas.height };
    return this.geometry.wanted(this.shape, this.canvas.width, this.canvas.height);
  }

  slice() {
    return this.settings.slice === "" ? {} : { slice: Number(this.settings.slice) };
  }

  /** A frame has come. */
  take(header, content) {
    this.pending = this.frozen ? [header, content] : null;
    if (this.frozen) return;
    const shape = header.shape.length === 1 ? [1, header.shape[0]] : header.shape;
    const other = !this.shape || shape.join() !== this.shape.join();
    this.shape = shape;
    this.curve = header.shape.length === 1;
    this.header = header;
    this.pixels = new Pixels(header, content);
    if (other) this.geometry.fit(this.shape, this.canvas.width, this.canvas.height);
    if (!this.levels || this.settings.auto === "1") this.levels = limits(this.pixels, this.settings.limits);
    this.painter.load(this.pixels);
    this.paint();
    this.heard = performance.now();
    this.paintedAt.push(this.heard);
    this.paintedAt = this.paintedAt.filter((time) => time > this.heard - 2000);
    this.tell({ ...header, kind: "painted" });
    // Painted when the browser says so: only then the next one is wanted.
    requestAnimationFrame(() => { if (!this.frozen) this.ready(); });
  }

  repaint() {
    if (this.pixels && !this.scheduled) {
      this.scheduled = requestAnimationFrame(() => {
        this.scheduled = null;
        this.paint();
      });
    }
  }

  paint() {
    const { canvas, pixels, geometry } = this;
    if (!pixels) return;
    const fits = this.dark && this.dark.at === [pixels.left, pixels.bottom, pixels.columns, pixels.rows].join();
    if (this.curve) this.paintCurve();
    else {
      this.painter.paint(pixels, {
        stretch: this.settings.stretch, colour: this.settings.colour, levels: this.levels, contrast: this.contrast,
        origin: geometry.origin(canvas.width, canvas.height), steps: geometry.steps, dark: fits ? this.dark.values : null,
        saturated: this.settings.sat === "" ? undefined : Number(this.settings.sat),
      });
    }
    this.paintTool();
  }

  paintCurve() {
    this.plot.hidden = false;
    this.plot.classList.add("large");
    this.canvas.hidden = true;
    this.plot.height = 400;
    drawCurve(this.plot, Array.from({ length: this.pixels.columns }, (_, k) => this.pixels.at(k, 0)));
  }

  paintTool() {
    if (this.curve) return;
    const { tool } = this.settings;
    this.plot.hidden = !["histogram", "cuts"].includes(tool);
    this.report.hidden = tool !== "statistics";
    if (tool === "histogram") {
      const [low, high] = limits(this.pixels, "minmax");
      drawHistogram(this.plot, [...histogram(this.pixels, low, high, 128)], low, high, this.levels);
    } else if (tool === "cuts" && this.here) {
      const row = Math.floor((this.here[1] - this.pixels.bottom) / this.pixels.down);
      if (row >= 0 && row < this.pixels.rows) {
        drawCurve(this.plot, Array.from({ length: this.pixels.columns }, (_, k) => this.pixels.at(k, row)));
      }
    } else if (tool === "statistics") {
      const found = statistics(this.pixels);
      this.report.textContent = `mean ${text(found.mean)}, standard deviation ${text(found.deviation)}, `
        + `from ${text(found.low)} to ${text(found.high)}, ${found.count} pixels`
        + (found.bad ? `, ${found.bad} not finite` : "") + (this.pixels.exact ? "" : " (as sent)");
    }
  }

  /** Say what is under the pointer, in the units of the stream. */
  point(place) {
    this.here = place && this.geometry.toImage(...place, this.canvas.width, this.canvas.height);
    const value = this.here && this.pixels?.ofImage(...this.here);
    if (value === undefined || value === null) {
      this.pointer.textContent = "";
      return;
    }
    const [x, y] = this.here.map(Math.floor);
    const { across, down } = this.pixels;
    const rough = (across * down > 1 ? ` (${this.settings.how} of ${across}x${down})` : "") + (this.header.lossy ? " (lossy)" : "");
    this.pointer.textContent = `x ${x}, y ${y}: ${text(value)}${rough}`;
    if (this.settings.tool === "cuts") this.repaint();
  }

  /** Show the account and what is wrong. */
  tell(state) {
    if (state.kind === "open") {
      this.ready();
      return;
    }
    this.state = { ...this.state, ...state };
    const { shown, skipped, rate, trouble, cnt0, lives } = this.state;
    const drawn = this.paintedAt.length / 2;
    this.account.textContent = `frame ${cnt0 ?? "-"}, source ${rate === null || rate === undefined ? "-" : text(Math.round(rate * 10) / 10)}/s, `
      + `shown ${drawn}/s, ${shown ?? 0} shown + ${skipped ?? 0} skipped`
      + (lives > 1 ? `, recreated or restarted ${lives - 1} times` : "");
    this.element.dataset.shown = shown ?? 0;
    this.element.dataset.skipped = skipped ?? 0;
    this.element.dataset.cnt0 = cnt0 ?? "";
    const age = this.heard === undefined ? 0 : (performance.now() - this.heard) / 1000;
    const stale = state.kind === "state" && age > STALE_SECONDS;
    this.element.classList.toggle("stale", stale);
    const lossy = this.header?.lossy ? "JPEG 8 bit, lossy" : "";
    this.trouble.textContent = [this.frozen ? "frozen" : "", lossy, stale ? `no frame for ${Math.round(age)} s` : "", trouble ?? ""]
      .filter(Boolean).join("; ");
  }

  lost(why) {
    this.element.classList.add("stale");
    this.trouble.textContent = why;
  }

  savePicture() {
    this.paint();
    const { canvas } = this;
    const bar = 46;
    const picture = make("canvas", { width: Math.max(canvas.width, 360), height: canvas.height + bar });
    const context = picture.getContext("2d");
    context.fillStyle = "#111418";
    context.fillRect(0, 0, picture.width, picture.height);
    context.drawImage(canvas, 0, 0);
    for (let column = 0; column < 200; column++) {
      const t = column / 199;
      context.fillStyle = `rgb(${COLOURS[this.settings.colour](t)})`;
      context.fillRect(8 + column, canvas.height + 8, 1, 12);
    }
    context.fillStyle = "#e8ecf0";
    context.font = "12px sans-serif";
    context.fillText(`${text(this.levels[0])} to ${text(this.levels[1])}, ${this.settings.stretch}`, 216, canvas.height + 18);
    context.fillText(`${this.stream}, frame ${this.header.cnt0}${this.header.lossy ? ", JPEG, lossy" : ""}`, 8, canvas.height + 38);
    picture.toBlob((blob) => save(blob, `${this.stream}.png`));
  }

  async saveFile(kind) {
    try {
      const answer = await ask(`streams/${encodeURIComponent(this.stream)}/frame.${kind}`);
      save(await answer.blob(), `${this.stream}.${kind}`);
    } catch (error) {
      this.trouble.textContent = error.message;
    }
  }

  close() {
    this.link.close();
    this.watch.disconnect();
    this.element.remove();
  }
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
