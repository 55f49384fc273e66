// The list of streams: rates, ages, and which are stale or dead. Rows stay as long as their streams do: what is pressed
// or focused is there a moment later.

import { span } from "./account.js";
import { make } from "./elements.js";
import { text } from "./pixels.js";

const STALE_SECONDS = 2;
/** Rates that a row shows. */
const KEPT = 12;

function sparkline(rates) {
  const most = Math.max(...rates, 1e-9);
  return rates.map((rate) => "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor((rate / most) * 7.99))]).join("");
}

class Row {
  constructor(name, open) {
    this.rates = [];
    this.facts = make("span");
    this.line = make("span", { className: "sparkline" });
    this.line.setAttribute("aria-hidden", "true");
    this.state = make("span", { className: "state" });
    this.button = make("button", { type: "button" }, make("b", {}, name), this.facts, this.line, this.state);
    this.button.dataset.stream = name;
    this.button.addEventListener("click", () => open(name));
    this.element = make("li", {}, this.button);
  }

  tell({ error, rate, age, shape, dtype, writer_alive: alive }) {
    this.button.disabled = Boolean(error);
    if (error) {
      this.facts.textContent = error;
      this.line.textContent = this.state.textContent = "";
      return;
    }
    this.rates = [...this.rates, rate ?? 0].slice(-KEPT);
    const told = typeof rate === "number" ? ` ${text(Math.round(rate * 10) / 10)}/s` : "";
    this.facts.textContent = `${shape.join("x")} ${dtype}${told} `;
    this.line.textContent = sparkline(this.rates);
    const stale = age > STALE_SECONDS;
    const aged = typeof age === "number" ? `age ${age < STALE_SECONDS ? span(age) : `${Math.round(age)} s`}` : "";
    const state = alive === false ? "writer dead" : stale ? "stale" : "";
    this.state.textContent = `${[state, aged].filter(Boolean).join(", ")}`;
    this.element.classList.toggle("stale", alive === false || stale);
  }
}

export class List {
  /**
   * @param {HTMLElement} element  holds the rows
   * @param {function(string)} open  a stream was chosen
   */
  constructor(element, open) {
    this.element = element;
    this.open = open;
    this.rows = new Map();
    this.streams = null;
    this.wanted = "";
  }

  /** Take what the server says of all streams. */
  take(streams) {
    this.streams = streams;
    const before = this.rows;
    this.rows = new Map(streams.map(({ name }) => [name, before.get(name) ?? new Row(name, this.open)]));
    for (const each of streams) this.rows.get(each.name).tell(each);
    this.draw();
  }

  /** Show those alone that have this in their names. */
  search(wanted) {
    this.wanted = wanted;
    this.draw();
  }

  draw() {
    const wanted = this.wanted.toLowerCase();
    const shown = [...this.rows].filter(([name]) => name.toLowerCase().includes(wanted)).map(([, row]) => row.element);
    for (const each of [...this.element.children]) if (!shown.includes(each)) each.remove();
    shown.forEach((each, k) => {
      if (this.element.children[k] !== each) this.element.insertBefore(each, this.element.children[k] ?? null);
    });
  }

  /** What there is to say about it; "" if it is as it should be. */
  get said() {
    if (!this.streams) return "";
    if (!this.streams.length) return "there are no streams";
    return this.element.children.length ? "" : `no stream has ${this.wanted} in its name`;
  }
}
