// Building the page: elements are made, never parsed, so a text can only ever be text.
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const D = JSON.parse(byId("data").textContent);
const text = (number) => (number < 0 ? "" : D.texts[number]);
const rowOf = new Map(D.trials.id.map((id, row) => [id, row]));
const isSweep = D.sweep !== null;
const scoreWord = isSweep ? "similarity" : "score";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
function figure(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return whole.format(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(digits - 1);
  return new Intl.NumberFormat("en", { maximumSignificantDigits: size >= 10 ** digits ? 15 : digits, maximumFractionDigits: 6 }).format(
    size >= 10 ** digits ? Math.round(value) : value);
}
const signed = (value) => (value > 0 ? "+" : "") + figure(value, 3);
const dollars = (value) => (value === 0 ? "–" : "$" + (value < 0.01 ? value.toPrecision(2) : value.toFixed(value < 10 ? 3 : 2)));
function duration(seconds) {
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 60) return seconds.toFixed(1) + " s";
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
const moment = (at) => new Date(at * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
const percent = (share) => (share > 0 && share < 0.001 ? "<0.1 %" : (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %");
const plural = (count, noun) => `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;
const oneLine = (value, most = 160) => {
  const line = value.slice(0, most * 2).replace(/\s+/g, " ").trim();
  return line.length > most ? line.slice(0, most) + "…" : line;
};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const say = (message) => { byId("status").textContent = message; };

function cutNote(number, id) {
  const length = D.cut[number];
  if (!length) return null;
  return h("p", { class: "note" }, `Only the beginning of ${whole.format(length)} characters is in this file` +
    (id === undefined ? "." : `; the whole: llm-optimize show NAME --trial ${id}`));
}
function copyButton(label, get) {
  const button = h("button", { type: "button", class: "button small" }, label);
  button.addEventListener("click", async () => {
    const area = h("textarea", { class: "hidden", "aria-hidden": "true" });
    area.value = get();
    button.after(area);
    area.select();
    const done = document.execCommand("copy");  // works in files too, where navigator.clipboard may be missing
    area.remove();
    button.focus();
    button.textContent = done ? "Copied" : "Select and copy by hand";
    say(button.textContent);
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}
const block = (value, kind = "") => h("pre", { class: `text ${kind}`, dir: "auto", tabindex: "0" }, value);
