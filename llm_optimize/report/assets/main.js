// Themes and printing; the beginning of it all.
function remembered(value) {
  try { if (value !== undefined) localStorage.setItem("llm-optimize-theme", value); return localStorage.getItem("llm-optimize-theme"); } catch { return null; }
}
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let theme = remembered();
const isDark = () => (theme ? theme === "dark" : prefersDark.matches);
function applyTheme(dark = isDark()) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").setAttribute("aria-pressed", dark);
  for (const curve of charts) curve.draw();
}

byId("theme").addEventListener("click", () => { theme = isDark() ? "light" : "dark"; remembered(theme); applyTheme(); });
prefersDark.addEventListener("change", () => { if (!theme) applyTheme(); });
byId("print").addEventListener("click", () => print());
const PAPER = 660;  // CSS pixels that a sheet has room for
addEventListener("beforeprint", () => {
  applyTheme(false);
  for (const table of tables) table.forPrint(true);
  for (const curve of charts) curve.resize(PAPER);
});
addEventListener("afterprint", () => { applyTheme(); for (const table of tables) table.forPrint(false); });

async function start() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  byId("theme").setAttribute("aria-pressed", isDark());
  await unpack();
  assemble();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting)
      for (const link of document.querySelectorAll("#contents a")) {
        if (link.getAttribute("href") === "#" + entry.target.id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
      }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const card of document.querySelectorAll("section.card")) watcher.observe(card);
  if (location.hash.length > 1) byId(location.hash.slice(1))?.scrollIntoView();
}
start();
