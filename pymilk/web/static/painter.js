// Painting: a texture of the values themselves, stretched and coloured by the graphics card; or by hand without one.

import { STRETCHES, colourTable, ranksOf } from "./stretch.js";

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

const fragmentOf = (kind, complex, stretch) => `#version 300 es
precision highp float;
precision highp int;
precision highp ${kind}sampler2D;
uniform ${kind}sampler2D pixels;
uniform sampler2D dark;
uniform sampler2D colours;
uniform sampler2D ranks;
uniform vec2 origin;      // image coordinates of the lower left corner of the canvas
uniform mat2 steps;       // image pixels for one canvas pixel to the right, and up
uniform vec4 region;      // left, bottom, right, top of what was sent
uniform vec2 bins;
uniform vec2 levels;
uniform vec2 contrast;    // factor and bias
uniform float saturated;
uniform bool subtract;
uniform bool phase;
uniform vec3 bad;
uniform vec3 over;
uniform vec3 nothing;
out vec4 colour;

void main() {
  vec2 at = origin + steps * gl_FragCoord.xy;
  if (any(lessThan(at, region.xy)) || any(greaterThanEqual(at, region.zw))) {
    colour = vec4(nothing, 1.0);
    return;
  }
  ivec2 place = ivec2(floor((at - region.xy) / bins));
  ${complex
    ? "vec2 pair = texelFetch(pixels, place, 0).rg; float value = phase ? atan(pair.y, pair.x) : length(pair);"
    : "float value = float(texelFetch(pixels, place, 0).r);"}
  ${kind ? "" : "if (isnan(value) || isinf(value)) { colour = vec4(bad, 1.0); return; }"}
  if (value >= saturated) {
    colour = vec4(over, 1.0);
    return;
  }
  if (subtract) value -= texelFetch(dark, place, 0).r;
  float t = clamp((value - levels.x) / max(levels.y - levels.x, 1e-37), 0.0, 1.0);
  t = clamp(${STRETCHES[stretch].glsl}, 0.0, 1.0);
  t = clamp((t - contrast.y) * contrast.x + 0.5, 0.0, 1.0);
  colour = vec4(texelFetch(colours, ivec2(int(t * 255.0 + 0.5), 0), 0).rgb, 1.0);
}`;

/** Paints with WebGL2. The constructor throws where the browser has none. */
export class CardPainter {
  constructor(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error("this browser has no WebGL2");
    this.gl = gl;
    this.programs = new Map();
    this.largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.textures = Object.fromEntries(["pixels", "dark", "colours", "ranks"].map((name) => [name, this.texture()]));
  }

  texture() {
    const { gl } = this;
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const side of ["MIN", "MAG"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${side}_FILTER`], gl.NEAREST);
    for (const side of ["S", "T"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_WRAP_${side}`], gl.CLAMP_TO_EDGE);
    return made;
  }

  fill(name, format, columns, rows, content) {
    const { gl } = this;
    const [inside, outside, type] = format;
    gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl[inside], columns, rows, 0, gl[outside], gl[type], content);
  }

  /** Take the pixels of a frame. */
  load(pixels) {
    this.kind = pixels.complex ? "complex" : pixels.sent;
    this.fill("pixels", FORMATS[this.kind], pixels.columns, pixels.rows, pixels.raw);
  }

  /** Paint what was loaded. `look` is what Look.settings gives. */
  paint(pixels, look) {
    const { gl } = this;
    const prefix = FORMATS[this.kind][3];
    const key = `${prefix} ${this.kind === "complex"} ${look.stretch}`;
    if (!this.programs.has(key)) {
      this.programs.set(key, this.program(fragmentOf(prefix, this.kind === "complex", look.stretch)));
    }
    const program = this.programs.get(key);
    if (look.colour !== this.colour) {
      this.colour = look.colour;
      this.fill("colours", ["RGBA8", "RGBA", "UNSIGNED_BYTE"], 256, 1, colourTable(look.colour));
    }
    if (look.stretch === "equal") {
      this.fill("ranks", ["R8", "RED", "UNSIGNED_BYTE"], 256, 1, ranksOf(pixels, ...look.levels));
    }
    const subtract = Boolean(look.dark);
    if (subtract) this.fill("dark", FORMATS.float32, pixels.columns, pixels.rows, look.dark);
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.useProgram(program);
    const set = (name) => gl.getUniformLocation(program, name);
    ["pixels", "dark", "colours", "ranks"].forEach((name, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      // The sampler of `dark` must not stand over the pixels: their kind may be another.
      gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
      gl.uniform1i(set(name), unit);
    });
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform2fv(set("origin"), look.origin);
    gl.uniformMatrix2fv(set("steps"), false, look.steps);
    gl.uniform4f(set("region"), pixels.left, pixels.bottom, pixels.right, pixels.top);
    gl.uniform2f(set("bins"), pixels.across, pixels.down);
    gl.uniform2fv(set("levels"), look.levels);
    gl.uniform2fv(set("contrast"), look.contrast);
    gl.uniform1f(set("saturated"), look.saturated ?? 3.4e38);
    gl.uniform1i(set("subtract"), subtract);
    gl.uniform1i(set("phase"), Boolean(look.phase));
    for (const [name, value] of [["bad", BAD], ["over", SATURATED], ["nothing", NOTHING]]) {
      gl.uniform3fv(set(name), value.map((part) => part / 255));
    }
    this.around(pixels, look);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.disable(gl.SCISSOR_TEST);
  }

  /** Fill what is around the image at once, and let the shader work on the rest alone: without a card it is slow. */
  around(pixels, look) {
    const { gl } = this;
    gl.clearColor(...NOTHING.map((part) => part / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const [ax, ay, bx, by] = look.steps;
    const scale = ax * by - bx * ay;
    const corner = (x, y) => {
      const [dx, dy] = [x - look.origin[0], y - look.origin[1]];
      return [(by * dx - bx * dy) / scale, (ax * dy - ay * dx) / scale];
    };
    const corners = [corner(pixels.left, pixels.bottom), corner(pixels.right, pixels.top)];
    const span = (axis, length) => {
      const [first, last] = corners.map((each) => each[axis]).sort((a, b) => a - b);
      const begin = Math.min(length, Math.max(0, Math.floor(first)));
      return [begin, Math.max(0, Math.min(length, Math.ceil(last)) - begin)];
    };
    const [left, width] = span(0, gl.drawingBufferWidth);
    const [bottom, height] = span(1, gl.drawingBufferHeight);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(left, bottom, width, height);
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

/** The same by hand, for browsers without WebGL2: slower, equal to the last level. */
export class HandPainter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
  }

  load() {}

  paint(pixels, look) {
    const { width, height } = this.canvas;
    const image = this.context.createImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const word = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;
    const table = colourTable(look.colour);
    const colours = Array.from({ length: 256 }, (_, k) => word(table.subarray(4 * k, 4 * k + 3)));
    const ranks = look.stretch === "equal" ? ranksOf(pixels, ...look.levels) : null;
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
          t = ranks ? ranks[Math.min(255, Math.floor(t * 256))] / 255 : STRETCHES[look.stretch].js(t);
          t = clamp((clamp(t) - bias) * factor + 0.5);
          painted = colours[Math.round(t * 255)];
        }
        words[row * width + column] = painted;
      }
    }
    this.context.putImageData(image, 0, 0);
  }
}

/** A painter for a canvas: by the graphics card where there is one. */
export function painterFor(canvas) {
  try {
    return new CardPainter(canvas);
  } catch {
    return new HandPainter(canvas);
  }
}
