// One study, live: its events as they come, what its model says, what a person says to it, and the report below.
"use strict";
const study = new URLSearchParams(location.search).get("study");
const query = study === null ? "" : `study=${encodeURIComponent(study)}&`;
const FEED = 200, SHOWN = 20000, LARGE = 50000;  // a report of more evaluations is drawn once, and again on demand
let last = 0;        // number of the last event that was taken in
let drawnTo = 0;     // number of the last event that the report shows
let standing = null, stoodAt = 0;
let reading = false; // whether the server is still reading a long log
let drawn = null;    // the report's own functions, for the state that is shown

// --- the report -----------------------------------------------------------------------------------------------------
let asking = false, askedAt = 0, rest = 0;
function isBeingRead() {
  const report = $("report"), at = document.activeElement, chosenText = getSelection();
  return $("detail").open || (at && at !== document.body && report.contains(at)) || (drawn && drawn.tables.some((table) => table.filters.size || table.query)) ||
    report.querySelector("details[open]:not(.task)") !== null || (!chosenText.isCollapsed && report.contains(chosenText.anchorNode));
}
async function refresh(force) {
  if (asking || (drawnTo >= last && drawn) || (!force && Date.now() < askedAt + rest)) return;
  const large = standing && standing.spent.evaluations > LARGE;
  if (!force && (reading || (large && drawn) || (drawn && isBeingRead()))) {
    $("stale").hidden = false;
    $("stale").firstElementChild.textContent = reading ? "The report comes when the log has been read." : `${last - drawnTo} new event${last - drawnTo === 1 ? "" : "s"} since this report was drawn.`;
    return;
  }
  asking = true;
  const began = performance.now();
  try {
    const answer = await fetch(`/api/report?${query}`);
    if (answer.ok) draw(await answer.json());
    else if (!drawn) unavailable(answer.status, (await answer.json()).error);
  } catch { /* the connection is lost, which its chip says; the next event asks again */ }
  asking = false;
  askedAt = Date.now();
  rest = Math.max(1000, 4 * (performance.now() - began));
}
function draw({ upto, data }) {
  const sorted = drawn ? drawn.tables.map((table) => [table.label, table.sortBy, table.up, table.scroller.scrollTop]) : [];
  const top = scrollY, above = $("report").getBoundingClientRect().top < 0;
  if (drawn) for (const chart of drawn.charts) if (chart.plot) chart.plot.destroy();
  const drawer = $("detail");
  const next = drawer.cloneNode(false);
  drawer.replaceWith(next);  // the old one's handlers hold the old data
  dress(next);
  $("report").replaceChildren();
  $("contents").replaceChildren();
  const put = (id, value) => { const node = make("script", { type: "application/json", id }); node.dataset.packed = "no"; node.textContent = JSON.stringify(value); document.body.append(node); return node; };
  const head = put("data", { ...data, texts: [], exchanges: { ...data.exchanges, rows: [] } });
  put("bulk", { texts: data.texts, rows: data.exchanges.rows });
  drawn = drawReport();
  head.remove();
  drawn.unpack().then(() => {
    drawn.assemble();
    for (const [label, by, up, at] of sorted) {
      const table = drawn.tables.find((one) => one.label === label);
      if (table) { table.sortBy = by; table.up = up; table.refresh(); table.scroller.scrollTop = at; }
    }
    if (above) scrollTo({ top, behavior: "instant" });
    drawnTo = upto;
    $("stale").hidden = true;
  });
}
// A candidate's drawer gets buttons for what can be decided about it.
function dress(drawer) {
  new MutationObserver(() => {
    const head = drawer.querySelector(".drawerhead");
    if (!head || head.querySelector(".acts")) return;
    const id = Number($("detail-title").textContent.split("#")[1]), pinned = standing && standing.pinned === id;
    const act = (name, label) => make("button", { type: "button", class: "button small", onclick: () => say(name, { candidate: name === "unpin" ? null : id }) }, label);
    const why = make("input", { type: "text", maxlength: 2000, "aria-label": `Why #${id} is rejected`, placeholder: "why; the model is told" });
    const hide = () => { form.hidden = true; open.setAttribute("aria-expanded", "false"); open.focus(); };
    const form = make("form", { class: "rejecting", hidden: true, onsubmit: async (event) => { event.preventDefault(); if (await say("reject", { candidate: id, text: why.value })) hide(); } },
      why, make("button", { type: "submit", class: "button small danger" }, `Reject #${id}`), make("button", { type: "button", class: "button small", onclick: hide }, "Cancel"));
    const open = make("button", { type: "button", class: "button small", "aria-expanded": "false", onclick: () => { form.hidden = !form.hidden; open.setAttribute("aria-expanded", String(!form.hidden)); if (!form.hidden) why.focus(); } }, "Reject…");
    head.querySelector(".grow").after(make("span", { class: "group acts" }, act(pinned ? "unpin" : "pin", pinned ? "Unpin" : "Pin"), act("accept", "Accept"), open));
    head.after(form);
  }).observe(drawer, { childList: true });
}
themed.push(() => { if (drawn) for (const chart of drawn.charts) chart.draw(); });
$("refresh").addEventListener("click", () => refresh(true));
setInterval(() => refresh(false), 1000);

// --- events ---------------------------------------------------------------------------------------------------------
const KINDS = { told: "scored", retold: "scored again", proposed: "proposed", opened: "opened", stopped: "stopped", say: "guidance" };
// The line as a person reads it beside number and kind, which it repeats.
const told = (line) => line.replace(/^#\d+ (scored( again)? |failed( again)? )?/, "").replace(/^guidance: /, "");
function entry(row) {
  const failed = row.score === null && (row.kind === "told" || row.kind === "retold");
  const ids = row.ids.map((id) => make("button", { type: "button", class: "link", onclick: () => openCandidate(id) }, `#${id}`));
  return make("li", { "data-seq": row.seq, class: row.kind }, make("span", { class: "small" }, clock(row.at)), make("b", { class: failed ? "bad" : "" }, failed ? "failed" : KINDS[row.kind] || row.kind), ids.slice(0, 5), make("span", { dir: "auto", class: "line", title: row.line }, told(row.line)));
}
function openCandidate(id) {
  $("which").value = id;
  const place = drawn ? drawn.D.trials.id.indexOf(id) : -1;
  if (place >= 0) drawn.openTrial(place);
}
function takeEvent(row) {
  if (row.seq <= last) return;  // seen: a server that was asked twice
  last = row.seq;
  const feed = $("feed");
  $("nofeed").hidden = true;
  feed.prepend(entry(row));
  while (feed.childElementCount > FEED) feed.lastElementChild.remove();
}

// --- where it stands ------------------------------------------------------------------------------------------------
const CAPS = { steps: "Steps", evaluations: "Evaluations", tokens: "Tokens", dollars: "Dollars", seconds: "Time" };
function tile(name, used, cap) {
  const show = name === "seconds" ? span : name === "dollars" ? (value) => (value ? "$" + number(value, 3) : "–") : number;
  const meter = cap ? make("progress", { max: cap, value: Math.min(used, cap), "aria-label": `${CAPS[name]}: ${show(used)} of ${show(cap)}` }) : null;
  return make("div", { class: "tile" }, make("div", { class: "label" }, CAPS[name]), make("div", { class: "value" }, show(used)), make("div", { class: "under" }, cap ? `of ${show(cap)}` : "no cap", meter));
}
function takeStanding(now) {
  standing = now;
  reading = false;
  stoodAt = Date.now();
  const running = now.state === "running", paused = running && now.paused && !now.stopping;
  const [words, kind] = paused ? ["paused", "warn"] : running ? (now.stopping ? ["stopping", "warn"] : ["running", "good"]) : now.reason !== null ? ["ended", ""] : ["not running", "warn"];
  $("state").textContent = words;
  $("state").className = `chip ${kind}`;
  $("state").title = words;
  ended(now, running);
  $("silent").textContent = running ? (now.here ? "The model has not said anything yet." : "Another process runs this study: it alone hears the model speak. Proposals appear below as they are made.") : "The study is not running.";
  $("pause").disabled = $("stop").disabled = !running || now.stopping;
  $("pause").textContent = paused ? "Continue" : "Pause";
  const best = make("div", { class: "tile lead" }, make("div", { class: "label" }, "Best score"), make("div", { class: "value" }, number(now.best_score)),
    make("div", { class: "under" }, now.best === null ? "nothing has a score" : make("button", { type: "button", class: "link", onclick: () => openCandidate(now.best) }, `#${now.best}`), now.pinned === null ? "" : `, pinned: #${now.pinned}`));
  $("tiles").replaceChildren(best, ...Object.keys(CAPS).map((name) => tile(name, now.spent[name], now.caps[name])));
  $("said").replaceChildren(...now.guidance.map((text) => make("li", { dir: "auto" }, text)));
  $("unpin").hidden = now.pinned === null;
  const caps = Object.keys(now.caps), select = $("cap"), before = select.value;
  if (caps.join() !== [...select.options].map((one) => one.value).join()) {
    select.replaceChildren(...caps.map((name) => make("option", { value: name }, CAPS[name])));
    if (caps.includes(before)) select.value = before;
  }
  $("nocaps").hidden = caps.length > 0;
  $("caprow").hidden = !caps.length;
  for (const part of $("raise").querySelectorAll("select, input, button")) part.disabled = !caps.length;
  $("to").placeholder = caps.length ? `more than ${number(now.caps[select.value])}` : "";
}

function ended(now, running) {
  const again = make("code", {}, `llm-optimize resume ${/^[\w.-]+$/.test($("name").textContent) ? $("name").textContent : "NAME"}`);
  $("ending").hidden = running;
  if (!running) $("ending").replaceChildren(now.reason !== null ? `Ended: ${now.reason}. ` : "It is not running, and no end was written: its process was killed. ", again, " goes on with it.");
}
function takeReading(now) {
  reading = true;
  $("state").textContent = `reading the log: ${number(now.events)} events`;
  $("state").className = "chip warn";
}
// The study cannot be shown: there is none of that name, or the store cannot be read.
function unavailable(status, words) {
  if (status !== 400 || last) { tell(words, true); return; }
  connection.close();
  asking = true;  // and never again
  $("state").textContent = "not found";
  $("link").remove();
  $("main").replaceChildren(make("section", { class: "card" }, make("h2", {}, "There is no such study"), make("p", {}, words), make("a", { href: "/" }, "All studies")));
}

setInterval(() => {  // the clock goes on between two events
  if (standing && standing.state === "running" && $("tiles").lastElementChild) $("tiles").lastElementChild.replaceWith(tile("seconds", standing.spent.seconds + (Date.now() - stoodAt) / 1000, standing.caps.seconds));
}, 1000);

// --- what the model says --------------------------------------------------------------------------------------------
const voices = new Map(), VERBS = { text: "writes", reasoning: "thinks", tool: "calls a tool" };
function takeSpeech(part) {
  let voice = voices.get(part.unit);
  if (!voice) {
    const head = make("p", { class: "small" }), text = make("pre", { class: "text short", dir: "auto" });
    voice = { head, text, node: make("div", { class: "voice" }, head, text) };
    for (const [unit, one] of voices) if (one.node.classList.contains("ended") || voices.size >= 6) { one.node.remove(); voices.delete(unit); }
    voices.set(part.unit, voice);
    $("voices").append(voice.node);
  }
  $("silent").hidden = true;
  voice.head.textContent = `${part.unit} ${part.ended ? "has been said" : VERBS[part.kind] || part.kind}`;
  voice.node.classList.toggle("ended", part.ended);
  const low = voice.text.scrollHeight - voice.text.scrollTop - voice.text.clientHeight < 30;
  const whole = ((part.fresh ? "" : voice.text.textContent) + part.text).slice(-SHOWN);
  voice.text.textContent = whole;
  if (low) voice.text.scrollTop = voice.text.scrollHeight;
}

// --- what a person says ---------------------------------------------------------------------------------------------
let fading = 0;
function tell(words, bad) {
  const told = $("told");
  told.textContent = words;
  told.className = `toast shown ${bad ? "bad" : ""}`;
  clearTimeout(fading);
  fading = setTimeout(() => { told.className = "toast"; }, 6000);
}
async function say(act, words = {}) {
  try {
    const answer = await fetch(`/api/say?${query}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ act, ...words }) });
    const said = await answer.json();
    tell(answer.ok ? `Written down; heeded ${said.heeded}.` : said.error, !answer.ok);
    return answer.ok;
  } catch {
    tell("The server cannot be reached; nothing was said.", true);
    return false;
  }
}
function formSays(id, saying) {
  $(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = [...event.target.querySelectorAll("button")].filter((one) => !one.disabled);
    for (const one of buttons) one.disabled = true;
    await saying(event.submitter);
    for (const one of buttons) one.disabled = false;
  });
}
formSays("guide", async () => { if (await say("say", { text: $("words").value })) $("words").value = ""; });
$("words").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("guide").requestSubmit(); });
formSays("decide", async (button) => {
  const act = button && button.value ? button.value : "pin", which = $("which").value;
  if (act !== "unpin" && which === "") { tell("Give the candidate's number.", true); return; }
  if (await say(act, { candidate: act === "unpin" ? null : Number(which), text: act === "reject" ? $("why").value : "" })) $("why").value = "";
});
formSays("inject", async () => { if (await say("inject", { text: $("mine").value })) $("mine").value = ""; });
$("copybest").addEventListener("click", () => {
  const place = drawn && standing ? drawn.D.trials.id.indexOf(standing.best) : -1;
  if (place >= 0) { $("mine").value = drawn.D.texts[drawn.D.trials.text[place]]; $("mine").focus(); } else tell("The report has no best candidate yet.", true);
});
formSays("raise", async () => { if (await say("raise", { text: `${$("cap").value}=${$("to").value}` })) $("to").value = ""; });
$("cap").addEventListener("change", () => { if (standing) $("to").placeholder = `more than ${number(standing.caps[$("cap").value])}`; });
$("pause").addEventListener("click", () => say(standing && standing.paused ? "continue" : "pause"));
let sure = 0;
$("stop").addEventListener("click", () => {
  clearTimeout(sure);
  if ($("stop").dataset.sure) { delete $("stop").dataset.sure; $("stop").textContent = "Stop"; say("stop"); return; }
  $("stop").dataset.sure = "1";
  $("stop").textContent = "Stop: sure?";
  sure = setTimeout(() => { delete $("stop").dataset.sure; $("stop").textContent = "Stop"; }, 4000);
});

let connection = null;
async function begin() {
  const known = await fetch("/api/studies").then((answer) => answer.json()).catch(() => ({ only: null }));
  const name = study === null ? known.only || "" : study;
  $("name").textContent = name;
  document.title = `${name}: live`;
  if (known.only !== null) $("home").removeAttribute("href"); else $("all").hidden = false;
  connection = follow(() => `/api/events?${query}after=${last}&most=${FEED}`, { log: takeEvent, standing: takeStanding, speech: takeSpeech, reading: takeReading });
  setTimeout(() => refresh(false), 300);
}
begin();
