// The sections of the report: each returns [id, title, nodes], or null where the study has nothing of the kind.
function summarySection() {
  const m = D.summary, [calls, tokensIn, cached, tokensOut, price] = m.usage;
  const tile = (label, value, under, kind = "") => h("div", { class: `tile ${kind}` }, h("div", { class: "label" }, label), h("div", { class: "value" }, value), h("div", { class: "under" }, under || ""));
  const delta = m.best_score !== null && m.start_score !== null && m.best !== m.start ? m.best_score - m.start_score : null;
  const best = m.best === null ? tile("Best", "–", "nothing has a score") :
    tile(isSweep ? "Best similarity" : "Best score", figure(m.best_score), isSweep ? `pair #${m.best}` : [`#${m.best}`, delta !== null ? `${signed(delta)} over the start` : ""].filter(Boolean).join(", "), "lead");
  const tiles = [best,
    isSweep ? tile("Pairs", figure(D.trials.id.length), `${plural(D.sweep.prompts.length, "prompt")}, ${plural(D.sweep.names.length, "setting")}`)
      : tile("Start", figure(m.start_score), m.start === null ? "none was given" : `#${m.start}`),
    tile("Evaluations", figure(m.evaluations), [plural(m.candidates, "candidate"), `${figure(m.failed)} failed`, m.pending ? `${m.pending} pending` : ""].filter(Boolean).join(", ")),
    tile("Model calls", figure(calls), calls ? `${figure(tokensIn)} tokens in${cached ? ` (${figure(cached)} cached)` : ""}, ${figure(tokensOut)} out` : "none"),
    tile("Price", price ? dollars(price) : "–", price ? (m.estimated ? "partly estimated" : "as reported") : "unknown or free"),
    tile("Time", duration(D.study.seconds), `${plural(D.study.sessions, "session")}`)];
  return ["summary", "Summary", [
    h("p", { class: "verdict", dir: "auto" }, m.verdict),
    h("div", { class: "tiles" }, tiles),
    h("details", { class: "task", open: text(D.study.task).length < 400 }, h("summary", {}, "Task"), h("p", { class: "pre", dir: "auto" }, text(D.study.task)), text(D.study.question) && h("p", { class: "pre muted", dir: "auto" }, text(D.study.question))),
    h("p", { class: "small" }, `${moment(D.study.begun)} to ${moment(D.study.ended)}. ${D.study.reason ? "Ended: " + D.study.reason : "Not ended."}`)]];
}

function bestSection() {
  if (D.summary.best === null) return null;
  if (isSweep) return bestPairSection();
  const best = rowOf.get(D.summary.best), start = rowOf.get(D.summary.start);
  const own = text(D.trials.text[best]).replace(/^\n+|\n+$/g, ""), before = start === undefined ? "" : text(D.trials.text[start]).replace(/^\n+|\n+$/g, "");
  if (D.summary.best === D.summary.start || start === undefined || !D.difference)
    return ["best", "Best", [h("div", { class: "parthead" }, h("p", {}, D.summary.best === D.summary.start ? "The start was not beaten." : ""), copyButton("Copy the best", () => own)), block(own), cutNote(D.trials.text[best], D.summary.best)]];
  const place = h("div", {});
  let by = D.difference.by;
  const views = { diff: "Difference", best: "Best", start: "Start" };
  const show = (view) => {
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.view === view);
    const segments = by === D.difference.by ? D.difference.segments : differences(before, own, by);
    place.replaceChildren(...(view === "diff" ? [h("div", { class: "difftools" }, counted(segments, by)), showDiff(segments, by)] : [block(view === "best" ? own : before)]));
  };
  const buttons = Object.entries(views).map(([view, label]) => h("button", { type: "button", class: "button small", "data-view": view, onclick: () => show(view) }, label));
  const way = h("select", { "aria-label": "Compare by" }, [["word", "by words"], ["line", "by lines"]].map(([key, label]) => h("option", { value: key, selected: key === by }, label)));
  way.addEventListener("change", () => { by = way.value; show("diff"); });
  show("diff");
  return ["best", "Best against start", [
    h("div", { class: "parthead" }, h("div", { class: "group", role: "group", "aria-label": "What to show" }, buttons), way, h("span", { class: "grow" }), copyButton("Copy the best", () => own),
      h("button", { type: "button", class: "button small", onclick: () => openTrial(best) }, `Open #${D.summary.best}`)), place, cutNote(D.trials.text[best], D.summary.best)]];
}

function bestPairSection() {
  const id = D.summary.best, row = rowOf.get(id);
  const request = D.sweep.request;
  const ready = request && h("div", { class: "two" }, [["json", "Request body"], ["curl", "curl"]].map(([key, label]) =>
    h("div", {}, h("div", { class: "parthead" }, h("h4", {}, label), copyButton("Copy", () => request[key])), block(request[key], "short"))));
  return ["best", "Best pair", [pairSettings(id), answersPart(row), ready && h("h3", {}, "Ready to use"), ready]];
}

function scoreSection(open) {
  if (!D.course.score.length) return null;
  const node = h("div", { class: "plot", role: "img", "aria-label": `Scores over ${plural(D.course.score.length, "evaluation")}: the best so far ends at ${figure(D.course.best[D.course.best.length - 1])}. The table of candidates has every figure.` });
  const reading = h("p", { class: "reading" }, " ");
  const thin = h("span", { class: "small" });
  let at = null;
  const state = { axis: "evaluation", range: null, show: (row) => {
    at = row;
    reading.textContent = row === null ? "Point at the curve to read it; click to open the candidate; drag to zoom, double click to see all." :
      `Evaluation ${figure(row + 1)}: #${D.course.trial[row]} ${D.course.score[row] === null ? "failed" : scoreWord + " " + figure(D.course.score[row])}, best so far ${figure(D.course.best[row])}${D.course.half[row] === null ? "" : " ± " + figure(D.course.half[row], 2)}`;
  } };
  state.show(null);
  const axes = Object.keys(AXES).filter((key) => key === "evaluation" || D.course[key].some((value) => value > 0));
  const select = h("select", { "aria-label": "Horizontal axis" }, axes.map((key) => h("option", { value: key }, `over ${AXES[key][0].toLowerCase()}`)));
  const all = h("button", { type: "button", class: "button small" }, "Show all");
  const key = (kind, label) => h("span", { class: "key" }, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), label);
  const keys = [key("best", "best so far"), D.course.half.some((half) => half !== null) && key("band", "its 95 % interval"), key("point", isSweep ? "pair" : "candidate"),
    D.course.part.some((part) => part) && key("again", "evaluated again, ± spread"), D.course.score.includes(null) && key("failure", "failed")];
  const nodes = [h("div", { class: "parthead" }, select, all, thin, h("span", { class: "grow" }), h("div", { class: "keys" }, keys)), node, reading];
  return ["scores", `${isSweep ? "Similarity" : "Score"} over evaluations`, nodes, () => {
    const curve = scoreCurve(node, state, open, (shown, of) => { thin.textContent = shown < of ? `${figure(shown)} of ${figure(of)} points drawn, all extremes among them` : ""; all.hidden = !state.range; });
    select.addEventListener("change", () => { state.axis = select.value; state.range = null; curve.draw(); });
    const reset = () => { state.range = null; curve.draw(); };
    all.addEventListener("click", reset);
    node.addEventListener("dblclick", reset);
    let down = 0;
    node.addEventListener("mousedown", (event) => { down = event.clientX; });
    node.addEventListener("click", (event) => { if (at !== null && Math.abs(event.clientX - down) < 4) open(rowOf.get(D.course.trial[at])); });
  }];
}

function scoreCell(score, low, high) {
  if (score === null) return h("span", { class: "chip bad" }, "failed");
  const bar = h("span", { class: "fill" });
  bar.style.width = (high > low ? Math.max(2, ((score - low) / (high - low)) * 100) : 100) + "%";
  return [h("span", { class: "bar", "aria-hidden": "true" }, bar), h("span", {}, figure(score))];
}
function span(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
  return [low, high];
}
const differing = (values) => { const first = values[0]; return values.some((value) => value !== first); };

function trialsSection(open) {
  const t = D.trials;
  if (!t.id.length) return null;
  const [low, high] = span(t.score);
  const column = (name, label, kind, values, more = {}) => ({ name, label, kind, value: (row) => values[row], ...more });
  const delta = t.id.map((_, row) => { const p = t.parent[row] === null ? undefined : rowOf.get(t.parent[row]); return p === undefined || t.score[row] === null || t.score[p] === null ? null : t.score[row] - t.score[p]; });
  const columns = [column("id", "#", "number", t.id, { width: 64 }),
    column("score", "Score", "number", t.score, { width: 150, first: "down", cell: (row) => scoreCell(t.score[row], low, high) }),
    t.spread.some((value) => value !== null) && column("spread", "±", "number", t.spread, { width: 80, title: "Standard deviation of repeated scores" }),
    t.n.some((value) => value > 1) && column("n", "n", "number", t.n, { width: 60, title: "Evaluations" }),
    t.parent.some((value) => value !== null) && column("parent", "From", "number", t.parent, { width: 76 }),
    t.parent.some((value) => value !== null) && { name: "delta", label: "Δ", kind: "number", width: 90, first: "down", value: (row) => delta[row], title: "Score against the parent's",
      cell: (row) => (delta[row] === null ? "–" : h("span", { class: delta[row] > 0 ? "plus" : delta[row] < 0 ? "minus" : "" }, signed(delta[row]))) },
    { name: "origin", label: "Made by", kind: "choice", width: 150, value: (row) => text(t.origin[row]) },
    t.failure.some((value) => value >= 0) && { name: "failure", label: "Failure", kind: "choice", width: 110, value: (row) => text(t.failure[row]) },
    ...Object.entries(t.metrics).slice(0, 6).map(([name, values]) => column(`metric ${name}`, name, "number", values, { width: 100 })),
    { name: "text", label: "Text", kind: "text", width: 320, value: (row) => oneLine(text(t.text[row]), 90) },
    { name: "feedback", label: "Feedback", kind: "text", width: 260, value: (row) => oneLine(text(t.feedback[row]), 90) },
    differing(t.tokens) && column("tokens", "Tokens", "number", t.tokens, { width: 90 }),
    column("seconds", "Seconds", "number", t.seconds, { width: 90 })].filter(Boolean);
  const table = new Table({ label: "Candidates", columns, count: t.id.length, sort: { column: "score", up: false }, open,
    search: (row) => [t.text[row], t.idea[row], t.feedback[row], ...t.answers[row]].map(text).join("\n") });
  table.mark = (row) => (t.id[row] === D.summary.best ? "chosen" : "");
  tables.push(table);
  table.refresh();
  return ["trials", "Candidates", [table.node]];
}

function rankingSection(open) {
  const w = D.sweep, t = D.trials, rows = w.order.map((id) => rowOf.get(id));
  const scores = rows.map((row) => t.score[row]), [low, high] = span(scores);
  const of = (values) => (place) => values[rows[place]];
  const setting = (name) => {
    const values = w.settings[name], numeric = values.every((value) => value === null || typeof value === "number");
    return { name: `setting ${name}`, label: name, kind: numeric ? "number" : "choice", width: Math.max(84, name.length * 8 + 30), title: w.no_effect.includes(name) ? "The endpoint ignores it" : undefined,
      value: (place) => (numeric ? values[place] : figure(values[place])), cell: (place) => (typeof values[place] === "number" ? String(values[place]) : figure(values[place])) };
  };
  const columns = [{ name: "rank", label: "Rank", kind: "number", width: 70, value: (place) => place + 1 },
    { name: "similarity", label: "Similarity", kind: "number", width: 140, first: "down", value: (place) => scores[place], cell: (place) => scoreCell(scores[place], low, high) },
    t.spread.some((value) => value !== null) && { name: "spread", label: "±", kind: "number", width: 76, value: of(t.spread), title: "Standard deviation of the single similarities" },
    w.prompts.length > 1 && { name: "prompt", label: "Prompt", kind: "choice", width: 200, value: (place) => `${w.prompt[place] + 1}: ${oneLine(text(w.prompts[w.prompt[place]]), 60)}` },
    w.systems.length > 1 && { name: "system", label: "System prompt", kind: "choice", width: 170, value: (place) => `${w.system[place] + 1}: ${oneLine(text(w.systems[w.system[place]]), 60)}` },
    ...w.names.map(setting),
    { name: "answer", label: "Answer", kind: "text", width: 360, value: (place) => { const row = rows[place]; return oneLine(t.answers[row].length ? text(t.answers[row][0]) : text(t.feedback[row]), 110); } },
    { name: "tokens", label: "Tokens", kind: "number", width: 84, value: of(t.tokens) },
    { name: "seconds", label: "Seconds", kind: "number", width: 90, value: of(t.seconds) }].filter(Boolean);
  const table = new Table({ label: "Ranking of prompts and settings", columns, count: rows.length, sort: { column: "rank", up: true }, open: (place, me) => open(rows[place], me),
    search: (place) => [...t.answers[rows[place]], t.feedback[rows[place]], w.prompts[w.prompt[place]], w.systems[w.system[place]]].map(text).join("\n") });
  table.rowOf = (place) => rows[place];
  tables.push(table);
  return ["ranking", "Ranking", [table.node]];
}

function effectsSection() {
  const w = D.sweep;
  if (!w.effects.length) return ["effects", "Effect of each setting", [h("p", {}, "No setting was varied, or too few pairs have a similarity.")]];
  return ["effects", "Effect of each setting", [
    h("p", {}, `The settings by themselves explain ${percent(w.explained)} of the variance of the similarity; the rest belongs to their interactions and to noise. Each card: the setting's share, and the mean similarity to expect at its values (partial dependence, 95 % interval).`),
    w.no_effect.length ? h("p", { class: "note" }, `The endpoint ignores: ${w.no_effect.join(", ")}.`) : null,
    h("div", { class: "cards" }, w.effects.map(effectCard)), w.heat && heatMap(w.heat)]];
}

function lineageSection(open) {
  if (!D.lineage.linked || isSweep) return null;
  const shown = D.lineage.nodes.length;
  return ["lineage", "Lineage", [
    h("p", { class: "small" }, `Each dot is a candidate, darker is better; the thick line leads to the best.${shown < D.lineage.of ? ` ${figure(shown)} of ${figure(D.lineage.of)}: the best ones and their ancestors.` : ""}`),
    lineagePicture(D.lineage, open), h("h3", {}, "How the best came about"), ancestryList(D.lineage, open)]];
}

function claimsSection(open) {
  if (!D.claims.length) return null;
  const held = D.claims.filter((one) => one.held === true).length, not = D.claims.filter((one) => one.held === false).length;
  const body = h("tbody", {}), MORE = 50;
  const add = (from) => body.append(...D.claims.slice(from, from + MORE).map((one) => h("tr", {},
    h("td", {}, h("button", { type: "button", class: "link", onclick: () => open(rowOf.get(one.id)) }, `#${one.id}`)), h("td", { dir: "auto" }, text(one.claim)), h("td", {}, heldChip(one.held)), h("td", { class: "muted" }, one.outcome))));
  add(0);
  const more = h("button", { type: "button", class: "button small", hidden: D.claims.length <= MORE }, "Show more");
  more.addEventListener("click", () => { add(body.rows.length); more.hidden = body.rows.length >= D.claims.length; });
  return ["claims", "Claims", [h("p", {}, `${plural(D.claims.length, "hypothesis").replace("hypothesiss", "hypotheses")}: `, h("b", {}, held), " held, ", h("b", {}, not), " did not, ", h("b", {}, D.claims.length - held - not), " open."),
    h("div", { class: "wide" }, h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ["Step", "Claim", "Held", "What came of it"].map((label) => h("th", { scope: "col" }, label)))), body)), more]];
}

function costSection() {
  if (!D.cost.length) return ["cost", "Cost", [h("p", {}, "No model was called.")]];
  const tokens = (row) => row[3] + row[5], most = Math.max(...D.cost.map(tokens), 1);
  const total = D.cost.reduce((sum, row) => sum.map((value, place) => value + row[place + 2]), [0, 0, 0, 0, 0, 0]);
  const cells = (row) => row.map((value, place) => h("td", { class: "num" }, place === 4 ? dollars(value) : place === 5 ? duration(value) : figure(value)));
  const body = D.cost.map((row) => {
    const bar = h("span", { class: "fill" });
    bar.style.width = (tokens(row) / most) * 100 + "%";
    return h("tr", {}, h("th", { scope: "row", dir: "auto" }, row[0]), h("td", { dir: "auto" }, row[1] || "unknown"), h("td", { class: "barcell" }, h("span", { class: "bar long", "aria-hidden": "true" }, bar)), cells(row.slice(2)));
  });
  const nodes = [h("div", { class: "wide" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Role"), h("th", { scope: "col" }, "Model"), h("th", { scope: "col" }, h("span", { class: "hidden" }, "Share")), ["Calls", "Tokens in", "cached", "Tokens out", "Price", "Waiting"].map((label) => h("th", { scope: "col", class: "num" }, label)))),
    h("tbody", {}, body), h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "all"), h("td", {}), h("td", {}), cells(total)))))];
  const what = D.course.dollars.some((value) => value > 0) ? "dollars" : "tokens";
  const node = h("div", { class: "plot", role: "img", "aria-label": `${what} spent over time` });
  const state = { axis: D.course.seconds.some((value) => value > 0) ? "seconds" : "evaluation", what };
  const option = (label, values, key) => {
    const one = h("select", { "aria-label": label }, values.map(([value, name]) => h("option", { value, selected: state[key] === value }, name)));
    one.addEventListener("change", () => { state[key] = one.value; state.curve.draw(); });
    return one;
  };
  nodes.push(h("h3", {}, "Spent over time"), h("div", { class: "parthead" }, option("What", [["tokens", "tokens"], ...(what === "dollars" ? [["dollars", "dollars"]] : [])], "what"), option("Over", [["seconds", "over seconds"], ["evaluation", "over evaluations"]], "axis")), node);
  return ["cost", "Cost", nodes, () => { state.curve = costCurve(node, state); }];
}

function failuresSection(open) {
  if (!D.failures.length) return ["failures", "Failures", [h("p", {}, "No candidate failed.")]];
  const most = D.failures[0].count;
  return ["failures", "Failures", [h("div", { class: "failures" }, D.failures.map((one) => {
    const bar = h("span", { class: "fill bad" });
    bar.style.width = (one.count / most) * 100 + "%";
    return h("details", {}, h("summary", {}, h("b", { dir: "auto" }, one.kind), h("span", { class: "bar long", "aria-hidden": "true" }, bar), plural(one.count, "candidate")), block(text(one.example)),
      h("p", { class: "ids" }, one.ids.map((id) => [h("button", { type: "button", class: "link", onclick: () => open(rowOf.get(id)) }, `#${id}`), " "]), one.count > one.ids.length && `and ${figure(one.count - one.ids.length)} more`));
  }))]];
}

function conversationsSection() {
  const rows = D.exchanges.rows;
  if (!rows.length) return null;
  const list = h("div", {}), PAGE = 20;
  let from = 0, chosen = rows.map((_, place) => place);
  const told = h("span", { class: "counted", role: "status" });
  const draw = () => {
    list.replaceChildren(...chosen.slice(from, from + PAGE).map(conversation));
    told.textContent = chosen.length ? `${figure(from + 1)} to ${figure(Math.min(from + PAGE, chosen.length))} of ${figure(chosen.length)}` : "none matches";
    back.disabled = from === 0;
    on.disabled = from + PAGE >= chosen.length;
  };
  const back = h("button", { type: "button", class: "button small", onclick: () => { from -= PAGE; draw(); } }, "Previous");
  const on = h("button", { type: "button", class: "button small", onclick: () => { from += PAGE; draw(); } }, "Next");
  const search = h("input", { type: "search", class: "search", placeholder: "Search prompts and replies", "aria-label": "Search prompts and replies" });
  let wait = 0;
  search.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => {
    const words = search.value.trim().toLowerCase();
    const hit = D.texts.map((one) => one.toLowerCase().includes(words));
    chosen = rows.map((_, place) => place).filter((place) => !words || rows[place][0].includes(words) || rows[place][4].some((one) => hit[one[1]]) || hit[rows[place][5]]);
    from = 0;
    draw();
  }, 150); });
  draw();
  return ["conversations", "Prompts and replies", [D.exchanges.of > rows.length && h("p", { class: "note" }, `The first ${figure(rows.length)} of ${figure(D.exchanges.of)} exchanges are here; llm-optimize export NAME --exchanges FILE writes all.`),
    h("div", { class: "toolbar" }, search, back, on, told), list]];
}

function notesSection() {
  const notes = D.notes.filter((one) => one[1] !== "stopped" || D.study.sessions > 1);
  if (!notes.length) return null;
  return ["notes", "Notes", [h("ul", { class: "notes" }, notes.map(([at, kind, number]) => h("li", {}, h("span", { class: "chip" }, kind), " ", h("time", { class: "muted" }, moment(at)), h("span", { dir: "auto" }, " ", text(number)))))]];
}

function reproduceSection() {
  const r = D.reproduce;
  return ["reproduce", "Reproduce", [r.commands.length ? r.commands.map(([label, command]) => h("div", { class: "part" }, h("div", { class: "parthead" }, h("h4", {}, label), copyButton("Copy", () => command)), block(command, "command")))
    : h("p", {}, "The study was kept in memory: run the same program again with the same seed."),
    h("details", {}, h("summary", {}, "Settings in force"), h("div", { class: "wide" }, h("table", { class: "plain settings" }, h("tbody", {}, r.settings.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { dir: "auto" }, oneLine(value, 400))))))))]];
}
