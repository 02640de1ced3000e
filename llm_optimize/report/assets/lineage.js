// Which idea came from which: places from left to right in the order of proposal, a lane for each chain.
function lineagePicture(lineage, open) {
  const X = 34, Y = 30, PAD = 22;
  const nodes = lineage.nodes, at = new Map(nodes.map((node) => [node[0], node]));
  const lanes = Math.max(...nodes.map((node) => node[2])) + 1, onBest = new Set(lineage.best);
  const x = (node) => PAD + node[1] * X, y = (node) => PAD + node[2] * Y;
  const scores = nodes.map((node) => D.trials.score[rowOf.get(node[0])]).filter((value) => value !== null).sort((a, b) => a - b);
  const level = (score) => (score === null ? "failed" : "heat" + Math.min(8, Math.floor((scores.indexOf(score) / Math.max(1, scores.length - 1)) * 8.99)));
  const edges = nodes.filter((node) => node[3] !== null).map((node) => {
    const from = at.get(node[3]), straight = from[2] === node[2];
    const path = straight ? `M${x(from)} ${y(from)}H${x(node)}` : `M${x(from)} ${y(from)}C${x(from) + X * 0.7} ${y(from)} ${x(from) + X * 0.1} ${y(node)} ${x(from) + X * 0.8} ${y(node)}H${x(node)}`;
    return s("path", { d: path, class: onBest.has(node[0]) && onBest.has(node[3]) ? "edge best" : "edge" });
  });
  const dots = nodes.map((node) => {
    const score = D.trials.score[rowOf.get(node[0])];
    const label = `#${node[0]}, ${score === null ? "failed" : scoreWord + " " + figure(score)}${node[3] === null ? "" : ", from #" + node[3]}`;
    const go = () => open(rowOf.get(node[0]));
    return s("g", { class: "node", tabindex: "0", role: "button", "aria-label": label, onclick: go,
        onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { go(); event.preventDefault(); } } },
      s("circle", { cx: x(node), cy: y(node), r: onBest.has(node[0]) ? 9 : 7, class: level(score) + (node[0] === D.summary.best ? " chosen" : "") }, s("title", {}, label)),
      nodes.length <= 120 && s("text", { x: x(node), y: y(node) + 19, class: "tick mid" }, node[0]));
  });
  const width = PAD * 2 + (nodes.length - 1) * X, height = PAD * 2 + (lanes - 1) * Y + 6;
  return h("div", { class: "lineage", tabindex: "0", role: "group", "aria-label": "Lineage of the candidates" },
    s("svg", { width, height, viewBox: `0 0 ${width} ${height}` }, edges, dots));
}

function ancestryList(lineage, open) {
  return h("ol", { class: "ancestry" }, lineage.best.map((id, place) => {
    const row = rowOf.get(id), score = D.trials.score[row];
    const before = place ? D.trials.score[rowOf.get(lineage.best[place - 1])] : null;
    const claim = D.claims.find((one) => one.id === id);
    return h("li", {}, h("button", { type: "button", class: "link", onclick: () => open(row) }, `#${id}`), " ",
      h("b", {}, figure(score)), before !== null && score !== null && h("span", { class: score >= before ? "plus" : "minus" }, ` ${signed(score - before)}`),
      h("span", { class: "muted" }, ` ${text(D.trials.origin[row])}`), claim && h("span", { dir: "auto" }, " — ", text(claim.claim)));
  }));
}
