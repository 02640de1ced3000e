// What the pages share: elements that are made and never parsed, a connection that comes back, and the theme.
"use strict";
const $ = (id) => document.getElementById(id);
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value); else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== false) node.append(child instanceof Node ? child : String(child));
  return node;
}
const number = (value, digits = 4) => (value === null || value === undefined ? "–" : Number.isInteger(value) ? value.toLocaleString("en") : Number(value).toLocaleString("en", { maximumSignificantDigits: digits }));
function span(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const today = () => new Date().toDateString();
const when = (at) => (new Date(at * 1000).toDateString() === today() ? clock(at) : new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" }));

// An EventSource that also comes back where the browser's own gives up: after an answer that is no stream.
// address() is asked anew each time, so a connection that is made afresh begins where the last one ended.
function follow(address, hear) {
  let source = null, alive = 0, over = false;
  const chip = $("link");
  const shown = (words, kind) => { chip.textContent = words; chip.className = `chip ${kind}`; chip.title = ""; };
  const connect = () => {
    if (over) return;
    if (source) source.close();
    source = new EventSource(address());
    alive = Date.now();
    source.addEventListener("open", () => { alive = Date.now(); shown("connected", "good"); });
    source.addEventListener("error", () => {
      if (over) return;
      shown("connection lost, trying again", "bad");
      chip.title = "The server has ended, or cannot be reached. llm-optimize serve starts one; this page comes back by itself.";
      if (source.readyState === EventSource.CLOSED) { source.close(); setTimeout(connect, 2000); }
    });
    for (const [name, take] of Object.entries(hear))
      source.addEventListener(name, (event) => { alive = Date.now(); take(JSON.parse(event.data), event); });
  };
  connect();
  setInterval(() => { if (!over && source.readyState === EventSource.OPEN && Date.now() - alive > 45000) connect(); }, 5000);
  return { close: () => { over = true; source.close(); } };
}

const darkness = matchMedia("(prefers-color-scheme: dark)");
const themed = [];
let chosen = null;
try { chosen = localStorage.getItem("llm-optimize-theme"); } catch { chosen = null; }
function applyTheme() {
  const dark = chosen ? chosen === "dark" : darkness.matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", dark);
  for (const redraw of themed) redraw();
}
$("theme").addEventListener("click", () => {
  chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("llm-optimize-theme", chosen); } catch { /* a browser that keeps nothing keeps the theme for this page */ }
  applyTheme();
});
darkness.addEventListener("change", applyTheme);
applyTheme();
