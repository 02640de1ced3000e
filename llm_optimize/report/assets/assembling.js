// Putting the sections together, and the list of contents.
const tables = [];
const open = (row, table) => openTrial(row, table);
const allSections = () => [summarySection(), bestSection(), scoreSection(open), isSweep ? rankingSection(open) : null, isSweep ? effectsSection() : null,
  isSweep ? null : trialsSection(open), lineageSection(open), claimsSection(open), costSection(), failuresSection(open), conversationsSection(), notesSection(), reproduceSection()].filter(Boolean);

function assemble() {
  const report = byId("report"), contents = byId("contents"), later = [];
  for (const [id, title, nodes, after] of allSections()) {
    report.append(h("section", { id, class: "card", "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), ...nodes.flat(Infinity).filter(Boolean)));
    contents.append(h("li", {}, h("a", { href: `#${id}` }, title)));
    if (after) later.push(after);
  }
  for (const after of later) after();
  for (const table of tables) { table.drawn = null; table.draw(); }
  report.setAttribute("aria-busy", "false");
}
