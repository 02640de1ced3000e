// One candidate in full, in a drawer: figures, answers against the wanted ones, text, idea, conversation.
const drawer = byId("detail");
let aboutTrial = null;
function exchangesOf(id) {
  if (!aboutTrial) {
    aboutTrial = new Map();
    D.exchanges.rows.forEach((row, place) => row[2].forEach((one) => { if (!aboutTrial.has(one)) aboutTrial.set(one, []); aboutTrial.get(one).push(place); }));
  }
  return aboutTrial.get(id) || [];
}

function conversation(place) {
  const [unit, model, , settings, messages, reply, reasoning, finish, tokensIn, cached, tokensOut, cost, seconds] = D.exchanges.rows[place];
  const inside = h("div", {});
  const shown = h("details", { class: "exchange" },
    h("summary", {}, h("b", {}, unit), " ", h("span", { class: "muted" }, [model, finish, `${figure(tokensIn)} → ${figure(tokensOut)} tokens`, cost ? dollars(cost) : "", seconds ? duration(seconds) : ""].filter(Boolean).join(" · "))), inside);
  shown.addEventListener("toggle", () => {
    if (!shown.open || inside.childElementCount) return;
    const turn = (role, number, kind) => [h("h5", { class: "role" }, role), block(text(number), kind), cutNote(number)];
    fill(inside, {}, [messages.map(([role, number]) => turn(role, number, "turn " + role)),
      reasoning >= 0 && turn("reasoning", reasoning, "turn"), reply >= 0 && turn("reply", reply, "turn reply"),
      (text(settings) || cached) && h("p", { class: "small" }, [text(settings), cached ? `${figure(cached)} tokens from the cache` : ""].filter(Boolean).join(" · "))]);
  });
  return shown;
}

function diffBlock(title, choices, first, get, by) {
  const place = h("div", {});
  const state = { against: first, by, plain: false };
  const draw = () => {
    const [before, after] = get(state.against);
    const segments = differences(before, after, state.by);
    place.replaceChildren(h("div", { class: "difftools" }, counted(segments, state.by)), state.plain ? block(after) : showDiff(segments, state.by));
  };
  const select = (label, values, value, set) => {
    const one = h("select", { "aria-label": label }, values.map(([key, name]) => h("option", { value: key, selected: key === value }, name)));
    one.addEventListener("change", () => { set(one.value); draw(); });
    return one;
  };
  draw();
  return h("section", { class: "part" }, h("div", { class: "parthead" }, h("h4", {}, title),
    choices.length > 1 && select("Compare with", choices, first, (value) => { state.against = value; }),
    select("Compare by", [["word", "by words"], ["line", "by lines"]], by, (value) => { state.by = value; }),
    select("Show", [["diff", "difference"], ["plain", "text only"]], "diff", (value) => { state.plain = value === "plain"; }),
    copyButton("Copy", () => get(state.against)[1])), place);
}

function facts(row, id) {
  const t = D.trials, spread = t.spread[row];
  const rows = [
    [isSweep ? "Similarity" : "Score", t.score[row] === null ? h("span", { class: "chip bad" }, text(t.failure[row])) : figure(t.score[row], 6)],
    ["Spread", spread === null ? null : `± ${figure(spread, 3)} over ${plural(t.n[row], "evaluation")}`],
    ["Made by", text(t.origin[row])], ["Part", text(t.arm[row])],
    ["Built on", t.parent[row] === null ? null : h("button", { type: "button", class: "link", onclick: () => openTrial(rowOf.get(t.parent[row])) }, `#${t.parent[row]}`)],
    ["Took", duration(t.seconds[row])], ["Tokens of scoring", t.tokens[row] ? figure(t.tokens[row]) : null], ["Price of scoring", t.dollars[row] ? dollars(t.dollars[row]) : null],
    ...Object.entries(t.metrics).map(([name, values]) => [name, values[row] === null ? null : figure(values[row])])];
  return h("dl", { class: "facts" }, rows.filter((one) => one[1] !== null && one[1] !== "").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, value))));
}

function answersPart(row) {
  const answers = D.trials.answers[row];
  if (!answers.length) return null;
  if (!isSweep || !D.sweep.wanted.length)
    return h("section", { class: "part" }, h("h4", {}, plural(answers.length, "answer")), answers.map((number) => [block(text(number)), cutNote(number)]));
  return answers.map((number, place) => {
    const nearest = String(nearestWanted(text(number)));
    const choices = D.sweep.wanted.map((_, one) => [String(one), `wanted ${one + 1}`]);
    return [diffBlock(answers.length > 1 ? `Answer ${place + 1} against the wanted one` : "Answer against the wanted one", choices, nearest,
      (key) => [text(D.sweep.wanted[+key]), text(number)], "word"), cutNote(number)];
  });
}

function textPart(row, id) {
  const t = D.trials, own = text(t.text[row]);
  const choices = [];
  const other = (one) => text(t.text[rowOf.get(one)]);
  if (t.parent[row] !== null && rowOf.has(t.parent[row])) choices.push(["parent", `with #${t.parent[row]}, its parent`]);
  if (D.summary.start !== null && id !== D.summary.start) choices.push(["start", "with the start"]);
  if (D.summary.best !== null && id !== D.summary.best) choices.push(["best", "with the best"]);
  const trim = (value) => value.replace(/^\n+|\n+$/g, "");
  if (!choices.length || isSweep) return h("section", { class: "part" }, h("div", { class: "parthead" }, h("h4", {}, isSweep ? "Candidate" : "Text"), copyButton("Copy", () => own)), block(own), cutNote(t.text[row], id));
  const ids = { parent: t.parent[row], start: D.summary.start, best: D.summary.best };
  return [diffBlock("Text", choices, choices[0][0], (key) => [trim(other(ids[key])), trim(own)], diffWay()), cutNote(t.text[row], id)];
}

function openTrial(row, table) {
  const t = D.trials, id = t.id[row];
  const claim = D.claims.find((one) => one.id === id);
  const step = (by) => { const next = table.step(by); if (next !== null) openTrial(table.rowOf ? table.rowOf(next) : next, table); };
  const said = exchangesOf(id);
  const part = (title, value) => value && h("section", { class: "part" }, h("h4", {}, title), block(value));
  drawer.replaceChildren(
    h("div", { class: "drawerhead" }, h("h3", { id: "detail-title", tabindex: "-1" }, isSweep ? `Pair #${id}` : `Candidate #${id}`), id === D.summary.best && h("span", { class: "chip good" }, "best"),
      h("span", { class: "grow" }), table && [h("button", { type: "button", class: "button small", onclick: () => step(-1) }, "Previous"), h("button", { type: "button", class: "button small", onclick: () => step(1) }, "Next")],
      h("button", { type: "button", class: "button small", onclick: () => drawer.close() }, "Close")),
    h("div", { class: "drawerbody" }, ...[facts(row, id), isSweep ? pairSettings(id) : null, answersPart(row),
      claim && h("section", { class: "part" }, h("h4", {}, "Claim"), h("p", { dir: "auto" }, text(claim.claim)), h("p", {}, heldChip(claim.held), " ", claim.outcome)),
      part(t.score[row] === null ? "Failure" : "Feedback", text(t.feedback[row])), textPart(row, id), part("Idea", text(t.idea[row])),
      said.length ? h("section", { class: "part" }, h("h4", {}, plural(said.length, "exchange")), said.map(conversation)) : null].flat(Infinity).filter(Boolean)));
  if (!drawer.open) drawer.showModal();
  drawer.querySelector(".drawerbody").scrollTop = 0;
  byId("detail-title").focus();
}
drawer.addEventListener("click", (event) => { if (event.target === drawer) drawer.close(); });
const heldChip = (held) => h("span", { class: `chip ${held === true ? "good" : held === false ? "bad" : ""}` }, held === true ? "held" : held === false ? "did not hold" : "open");

let placeOf = null;
function pairPlace(id) {
  placeOf = placeOf || new Map(D.sweep.order.map((one, place) => [one, place]));
  return placeOf.get(id);
}
function pairSettings(id) {
  const place = pairPlace(id), w = D.sweep;
  const rows = w.names.map((name) => [name, w.settings[name][place]]).filter((one) => one[1] !== null);
  const system = text(w.systems[w.system[place]]);
  return h("section", { class: "part" }, h("h4", {}, `Rank ${place + 1}: settings and prompt`),
    h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, typeof value === "number" ? String(value) : figure(value))))),
    block(text(w.prompts[w.prompt[place]])), system && [h("h5", { class: "role" }, "system prompt"), block(system)]);
}
