// Painting: a texture of the values themselves, stretched and coloured by the graphics card; or by hand without one.

import { RANKS, STRETCHES, colourTable, rankOf } from "./stretch.js";

/** Colours outside all maps: values that are not finite, saturated ones, and where there is no image. */
export const BAD = [190, 0, 190];
export const SATURATED = [255, 60, 20];
export const NOTHING = [28, 32, 38];

const FORMATS = {
  uint8: ["R8UI", "RED_INTEGER", "UNSIGNED_BYTE", "u"], int8: ["R8I", "RED_INTEGER", "BYTE", "i"],
  uint16: ["R16UI", "RED_INTEGER", "UNSIGNED_SHORT", "u"], int16: ["R16I", "RED_INTEGER", "SHORT", "i"],
  uint32: ["R32UI", "RED_INTEGER", "UNSIGNED_INT", "u"], int32: ["R32I", "RED_INTEGER", "INT", "i"],
  float32: ["R32F", "RED", "FLOAT", ""], complex: ["RG32F", "RG", "FLOAT", ""],
};

const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0;
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const rgb = (colour) => `vec3(${colour.map((part) => (part / 255).toFixed(6)).join(", ")})`;

/** Integers are taken apart from `base` as integers: float has 24 bits, and they up to 32. */
const APART = {
  u: "value = whole >= base ? float(whole - base) : -float(base - whole);",
  i: "value = whole >= base ? float(uint(whole) - uint(base)) : -float(uint(base) - uint(whole));",
};

const RANK = `
float rankOf(float t) {
  int found = 0;
  for (int jump = ${(RANKS + 1) / 2}; jump > 0; jump >>= 1) {
    if (texelFetch(ranks, ivec2(found + jump - 1, 0), 0).r <= t) found += jump;
  }
  return float(found) / ${RANKS}.0;
}`;

/** The shader for a kind of pixels and what is done with them: what is not done is not in it, since each pixel pays for it. */
const fragmentOf = ({ kind, complex, phase, binned, saturated, dark, stretch }) => `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp ${kind}sampler2D;
uniform ${kind}sampler2D pixels;
uniform sampler2D dark;
uniform sampler2D colours;
uniform sampler2D ranks;
uniform vec2 origin;      // image coordinates of the lower left corner of the canvas
uniform mat2 steps;       // image pixels for one canvas pixel to the right, and up
uniform vec2 corner;      // left and bottom of what was sent
uniform ivec2 last;       // its last column and row
uniform vec2 bins;
uniform vec2 levels;      // the lower one, and how far it is to the upper one, both times \`scale\`
uniform float scale;
uniform vec2 contrast;    // factor and bias
uniform ${kind ? `${kind === "u" ? "uint" : "int"} base` : "float base"};
uniform ${kind ? (kind === "u" ? "uint" : "int") : "float"} saturated;
out vec4 colour;
${stretch === "equal" ? RANK : ""}

void main() {
  vec2 at = origin + steps * gl_FragCoord.xy - corner;
  ivec2 place = clamp(ivec2(at${binned ? " / bins" : ""}), ivec2(0), last);
  ${complex
    ? `vec2 pair = texelFetch(pixels, place, 0).rg; float value = ${phase ? "atan(pair.y, pair.x)" : "length(pair)"};`
    : kind ? `${kind === "u" ? "uint" : "int"} whole = texelFetch(pixels, place, 0).r; float ${APART[kind]}`
      : "float value = texelFetch(pixels, place, 0).r;"}
  ${kind ? "" : `if (isnan(value) || isinf(value)) { colour = vec4(${rgb(BAD)}, 1.0); return; }`}
  ${saturated ? `if (${kind ? "whole" : "value"} >= saturated) { colour = vec4(${rgb(SATURATED)}, 1.0); return; }` : ""}
  ${dark ? "value -= texelFetch(dark, place, 0).r;" : ""}
  float t = clamp((value * scale - levels.x) / levels.y, 0.0, 1.0);
  t = clamp(${STRETCHES[stretch].glsl}, 0.0, 1.0);
  t = clamp((t - contrast.y) * contrast.x + 0.5, 0.0, 1.0);
  colour = vec4(texelFetch(colours, ivec2(int(t * 255.0 + 0.5), 0), 0).rgb, 1.0);
}`;

const signed = (bits) => ({ set: "uniform1i", least: -(2 ** (bits - 1)), most: 2 ** (bits - 1) - 1 });
const unsigned = (bits) => ({ set: "uniform1ui", least: 0, most: 2 ** bits - 1 });
/** Of kinds that are integers: their ends, and how one is handed to the card. */
const ENDS = {
  uint8: unsigned(8), uint16: unsigned(16), uint32: unsigned(32), int8: signed(8), int16: signed(16), int32: signed(32),
};

/**
 * What values are taken apart from, as an integer of their kind, and the lower level and the span from there on, times a
 * scale: of a size that float can have.
 */
function apartOf({ levels: [low, high], dark }, ends) {
  const base = ends && !dark ? Math.min(ends.most, Math.max(ends.least, Math.round(low))) : 0;
  const size = Math.max(high / 4 - low / 4, Math.abs(low / 4 - base / 4)) * 4;
  const scale = 2 ** -Math.min(126, Math.max(-100, Math.ceil(Math.log2(Math.min(size, 1e300) || 1))));
  return { base, levels: [(low - base) * scale, (high * scale - low * scale) || 1e-37], scale };
}

const TEXTURES = ["pixels", "dark", "colours", "ranks"];
const UNIFORMS = [...TEXTURES, "origin", "steps", "corner", "last", "bins", "levels", "scale", "contrast",
  "base", "saturated"];

/** Paints with WebGL2. The constructor throws where the browser has none. */
export class CardPainter {
  /** @param {function()} changed  the card was lost, or has come back: then everything has to be loaded again */
  constructor(canvas, changed) {
    this.gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
    if (!this.gl) throw new Error("this browser has no WebGL2");
    canvas.addEventListener("webglcontextlost", (event) => {
      if (this.closed) return;
      event.preventDefault(); // only so it may come back
      changed();
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.begin();
      changed();
    });
    this.begin();
  }

  /** Whether nothing can be painted: the driver was reset, say, or too many pages use the card. */
  get lost() {
    return this.gl.isContextLost();
  }

  /** Give the card back now: until the browser clears up, a view that is closed would keep it from others. */
  close() {
    this.closed = true;
    cards--;
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  begin() {
    const { gl } = this;
    this.programs = new Map();
    this.largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.clearColor(...NOTHING.map((part) => part / 255), 1);
    this.textures = Object.fromEntries(TEXTURES.map((name) => [name, this.texture()]));
    this.sizes = {};
    this.colour = this.dark = null;
    this.took = 0;
  }

  texture() {
    const { gl } = this;
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const side of ["MIN", "MAG"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${side}_FILTER`], gl.NEAREST);
    for (const side of ["S", "T"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_WRAP_${side}`], gl.CLAMP_TO_EDGE);
    return made;
  }

  /** Fill a texture; one of the same size and format is kept. */
  fill(name, [inside, outside, type], columns, rows, content) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
    const size = `${inside} ${columns} ${rows}`;
    if (this.sizes[name] === size) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, columns, rows, gl[outside], gl[type], content);
    else gl.texImage2D(gl.TEXTURE_2D, 0, gl[inside], columns, rows, 0, gl[outside], gl[type], content);
    this.sizes[name] = size;
  }

  /** Take the pixels of a frame. */
  load(pixels) {
    this.kind = pixels.complex ? "complex" : pixels.sent;
    this.fill("pixels", FORMATS[this.kind], pixels.columns, pixels.rows, pixels.raw);
  }

  /** Fill the smaller textures, where they have to be others. */
  fillRest(pixels, look) {
    if (look.colour !== this.colour) {
      this.colour = look.colour;
      this.fill("colours", ["RGBA8", "RGBA", "UNSIGNED_BYTE"], 256, 1, colourTable(look.colour));
    }
    if (look.ranks) this.fill("ranks", FORMATS.float32, RANKS, 1, look.ranks);
    if (look.dark && look.dark !== this.dark) this.fill("dark", FORMATS.float32, pixels.columns, pixels.rows, look.dark);
    this.dark = look.dark;
  }

  /** Paint what was loaded. `look` is what View.paint gives. */
  paint(pixels, look) {
    const { gl } = this;
    this.fillRest(pixels, look);
    const saturated = look.saturated <= (ENDS[this.kind]?.most ?? Infinity);
    const { program, at } = this.programFor({
      kind: FORMATS[this.kind][3], complex: this.kind === "complex", phase: Boolean(look.phase), binned: pixels.across * pixels.down > 1,
      saturated, dark: Boolean(look.dark), stretch: look.stretch,
    });
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.useProgram(program);
    TEXTURES.forEach((name, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      // The sampler of `dark` must not stand over the pixels: their kind may be another.
      gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
      gl.uniform1i(at[name], unit);
    });
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform2fv(at.origin, look.origin);
    gl.uniformMatrix2fv(at.steps, false, look.steps);
    gl.uniform2f(at.corner, pixels.left, pixels.bottom);
    gl.uniform2i(at.last, pixels.columns - 1, pixels.rows - 1);
    gl.uniform2f(at.bins, pixels.across, pixels.down);
    const { base, levels, scale } = apartOf(look, ENDS[this.kind]);
    const { set, least, most } = ENDS[this.kind] ?? { set: "uniform1f" };
    gl[set](at.base, base);
    gl.uniform2fv(at.levels, levels);
    gl.uniform1f(at.scale, scale);
    gl.uniform2fv(at.contrast, look.contrast);
    const whole = Math.min(most, Math.max(least, Math.ceil(look.saturated)));
    if (saturated) gl[set](at.saturated, least === undefined ? look.saturated : whole);
    gl.clear(gl.COLOR_BUFFER_BIT);
    // What is around the image is filled at once, and the shader works on the rest alone: without a card it is slow.
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(...covered(pixels, look, gl.drawingBufferWidth, gl.drawingBufferHeight));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.disable(gl.SCISSOR_TEST);
    // The card begins now, and not at the next animation frame.
    gl.flush();
  }

  /** Call `then` once the card has done what it was given. It is looked at again and again, from half the time on that it took last. */
  settled(then) {
    const { gl } = this;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    const began = performance.now();
    gl.flush();
    const look = () => {
      if (fence && gl.getSyncParameter(fence, gl.SYNC_STATUS) === gl.UNSIGNALED) {
        soon(look);
        return;
      }
      gl.deleteSync(fence);
      this.took = performance.now() - began;
      then();
    };
    setTimeout(look, Math.min(50, this.took / 2));
  }

  /** A program, compiled when it is wanted first, and where its uniforms are. */
  programFor(wanted) {
    const key = Object.values(wanted).join();
    if (!this.programs.has(key)) {
      const program = this.program(fragmentOf(wanted));
      const places = UNIFORMS.map((name) => [name, this.gl.getUniformLocation(program, name)]);
      this.programs.set(key, { program, at: Object.fromEntries(places) });
    }
    return this.programs.get(key);
  }

  program(fragment) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, text] of [["VERTEX", VERTEX], ["FRAGMENT", fragment]]) {
      const shader = gl.createShader(gl[`${kind}_SHADER`]);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }
}

/** Call `then` after a millisecond. Timers that start timers wait for four, so each is started by a message. */
function soon(then) {
  calls.push(then);
  bell.port2.postMessage(null);
}

const calls = [];
const bell = new MessageChannel();
bell.port1.onmessage = () => setTimeout(calls.shift(), 1);

/** The canvas pixels whose middle is on the image: left, bottom, width and height, from the lower left. */
function covered(pixels, { origin, steps: [ax, ay, bx, by] }, width, height) {
  const scale = ax * by - bx * ay;
  const place = (x, y) => {
    const [dx, dy] = [x - origin[0], y - origin[1]];
    return [(by * dx - bx * dy) / scale, (ax * dy - ay * dx) / scale];
  };
  const corners = [place(pixels.left, pixels.bottom), place(pixels.right, pixels.top)];
  const span = (axis, length) => {
    const inside = corners.map((each) => Math.min(length, Math.max(0, Math.ceil(each[axis] - 0.5)))).sort((a, b) => a - b);
    return [inside[0], inside[1] - inside[0]];
  };
  const [[left, across], [bottom, high]] = [span(0, width), span(1, height)];
  return [left, bottom, across, high];
}

/** The same by hand, for browsers without WebGL2: slower, equal to the last level. */
export class HandPainter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.lost = false;
  }

  load() {}

  close() {}

  settled(then) {
    then();
  }

  paint(pixels, look) {
    const { width, height } = this.canvas;
    const image = this.context.createImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const word = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;
    const table = colourTable(look.colour);
    const colours = Array.from({ length: 256 }, (_, k) => word(table.subarray(4 * k, 4 * k + 3)));
    const { ranks } = look;
    const [low, high] = look.levels;
    const [factor, bias] = look.contrast;
    const [ax, ay, bx, by] = look.steps;
    const clamp = (value) => Math.min(1, Math.max(0, value));
    for (let row = 0; row < height; row++) {
      const up = height - 1 - row + 0.5;
      for (let column = 0; column < width; column++) {
        const x = look.origin[0] + ax * (column + 0.5) + bx * up;
        const y = look.origin[1] + ay * (column + 0.5) + by * up;
        let value = pixels.ofImage(x, y);
        let painted = word(NOTHING);
        if (value !== undefined && !Number.isFinite(value)) painted = word(BAD);
        else if (value !== undefined && value >= (look.saturated ?? Infinity)) painted = word(SATURATED);
        else if (value !== undefined) {
          if (look.dark) {
            const i = Math.floor((x - pixels.left) / pixels.across);
            const j = Math.floor((y - pixels.bottom) / pixels.down);
            value -= look.dark[j * pixels.columns + i];
          }
          let t = clamp((value - low) / (high - low || 1e-37));
          t = ranks ? rankOf(ranks, t) : STRETCHES[look.stretch].js(t);
          t = clamp((clamp(t) - bias) * factor + 0.5);
          painted = colours[Math.round(t * 255)];
        }
        words[row * width + column] = painted;
      }
    }
    this.context.putImageData(image, 0, 0);
  }
}

/** Views of a page that use the card: beyond 16, browsers take it from the oldest one, and never give it back. */
const MOST_CARDS = 12;
let cards = 0;

/** A painter for a canvas: by the graphics card where there is one that is free. `changed` as that of CardPainter. */
export function painterFor(canvas, changed) {
  try {
    if (cards < MOST_CARDS) {
      const painter = new CardPainter(canvas, changed);
      cards++;
      return painter;
    }
  } catch {
    // there is none
  }
  return new HandPainter(canvas);
}
