// The page: the list of streams, the views, and the address that keeps both.

import { KEYS } from "./keys.js";
import { text } from "./pixels.js";
import { followStreams, tokenOf } from "./server.js";
import { Theme } from "./theme.js";
import { View } from "./view.js";

const list = document.getElementById("streams");
const search = document.getElementById("search");
const views = document.getElementById("views");
const message = document.getElementById("message");
const help = document.getElementById("help");
const open = [];
const rates = new Map();
const theme = new Theme(new URLSearchParams(location.hash.slice(1)).get("theme"), keep);

/** Views and their settings in the address, behind the token: `view=wfs,stretch:log,...`. */
function keep() {
  const parts = new URLSearchParams({ token: tokenOf() });
  if (theme.word !== "system") parts.append("theme", theme.word);
  for (const view of open) {
    const settings = Object.entries(view.settings).filter(([, value]) => value !== "");
    parts.append("view", [encodeURIComponent(view.stream), ...settings.map(([name, value]) => `${name}:${value}`)].join(","));
  }
  history.replaceState(null, "", `#${parts}`);
}

function show(stream, settings = {}) {
  const view = new View(stream, settings, keep, (closed) => {
    closed.close();
    open.splice(open.indexOf(closed), 1);
    keep();
  });
  open.push(view);
  views.append(view.element);
  keep();
  view.canvas.focus();
}

function restore() {
  for (const each of new URLSearchParams(location.hash.slice(1)).getAll("view")) {
    const [name, ...settings] = each.split(",");
    show(decodeURIComponent(name), Object.fromEntries(settings.map((one) => one.split(/:(.*)/s).slice(0, 2))));
  }
}

function sparkline(history) {
  const most = Math.max(...history, 1e-9);
  return history.map((rate) => "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor((rate / most) * 7.99))]).join("");
}

function row(entry) {
  const history = rates.get(entry.name) ?? [];
  history.push(entry.rate ?? 0);
  rates.set(entry.name, history.slice(-12));
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.stream = entry.name;
  const name = document.createElement("b");
  name.textContent = entry.name;
  const facts = document.createElement("span");
  if (entry.error) {
    facts.textContent = entry.error;
    button.disabled = true;
  } else {
    const rate = entry.rate === null || entry.rate === undefined ? "" : `${text(Math.round(entry.rate * 10) / 10)}/s `;
    const dead = entry.writer_alive === false ? "writer dead" : entry.age > 2 ? `silent for ${Math.round(entry.age)} s` : "";
    facts.textContent = `${entry.shape.join("x")} ${entry.dtype} ${rate}${sparkline(rates.get(entry.name))} ${dead}`;
    item.classList.toggle("stale", Boolean(dead));
  }
  button.append(name, facts);
  button.addEventListener("click", () => show(entry.name));
  item.append(button);
  return item;
}

let last = [];
function draw(streams = last) {
  last = streams;
  const wanted = search.value.toLowerCase();
  const focused = document.activeElement?.dataset?.stream;
  list.replaceChildren(...streams.filter(({ name }) => name.toLowerCase().includes(wanted)).map(row));
  message.textContent = streams.length ? "" : "there are no streams";
  if (focused) [...list.querySelectorAll("button")].find((each) => each.dataset.stream === focused)?.focus();
}

function showHelp() {
  const table = document.createElement("table");
  for (const [key, does] of KEYS) {
    const line = table.insertRow();
    const cell = line.insertCell();
    cell.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    line.insertCell().textContent = does;
  }
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  close.addEventListener("click", () => help.close());
  help.replaceChildren(table, close);
  help.showModal();
}

document.getElementById("help-button").before(theme.element);
document.getElementById("help-button").addEventListener("click", showHelp);
search.addEventListener("input", () => draw());
document.addEventListener("keydown", (event) => {
  if (/^(INPUT|SELECT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") showHelp();
  else if (event.key === "/") {
    event.preventDefault();
    search.focus();
  }
});

restore();
followStreams(draw, (why) => (message.textContent = why));
