// Putting the page together; themes, printing, and the list of contents.
const tables = [];
const open = (row, table) => openTrial(row, table);
const sections = [summarySection(), bestSection(), scoreSection(open), isSweep ? rankingSection(open) : null, isSweep ? effectsSection() : null,
  isSweep ? null : trialsSection(open), lineageSection(open), claimsSection(open), costSection(), failuresSection(open), conversationsSection(), notesSection(), reproduceSection()].filter(Boolean);

function assemble() {
  const report = byId("report"), contents = byId("contents"), later = [];
  for (const [id, title, nodes, after] of sections) {
    report.append(h("section", { id, class: "card", "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), ...nodes.flat(Infinity).filter(Boolean)));
    contents.append(h("li", {}, h("a", { href: `#${id}` }, title)));
    if (after) later.push(after);
  }
  for (const after of later) after();
  for (const table of tables) { table.drawn = null; table.draw(); }
  report.setAttribute("aria-busy", "false");
}

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
addEventListener("beforeprint", () => { applyTheme(false); for (const table of tables) table.forPrint(true); });
addEventListener("afterprint", () => { applyTheme(); for (const table of tables) table.forPrint(false); });

document.documentElement.dataset.theme = isDark() ? "dark" : "light";
assemble();
byId("theme").setAttribute("aria-pressed", isDark());

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting)
    for (const link of document.querySelectorAll("#contents a")) {
      if (link.getAttribute("href") === "#" + entry.target.id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
}, { rootMargin: "-20% 0px -70% 0px" });
for (const card of document.querySelectorAll("section.card")) watcher.observe(card);
