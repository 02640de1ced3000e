// Differences of two texts by words or lines: the longest common subsequence of what lies between equal ends.
const WORDS = /\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;
const LINES = /[^\n]*\n|[^\n]+/g;
const MOST_CELLS = 6e6;

function differences(before, after, by) {
  const pattern = by === "word" ? WORDS : LINES;
  const a = before.match(pattern) || [], b = after.match(pattern) || [];
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const x = a.slice(start, a.length - end), y = b.slice(start, b.length - end);
  if (x.length * y.length > MOST_CELLS) {
    if (by === "word") return differences(before, after, "line");
    return [["=", a.slice(0, start).join("")], ["-", x.join("")], ["+", y.join("")], ["=", a.slice(a.length - end).join("")]].filter((one) => one[1]);
  }
  const found = [];
  const put = (sign, piece) => {
    const last = found[found.length - 1];
    if (last && last[0] === sign) last[1] += piece; else found.push([sign, piece]);
  };
  if (start) put("=", a.slice(0, start).join(""));
  const width = y.length + 1, best = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--)
    for (let j = y.length - 1; j >= 0; j--)
      best[i * width + j] = x[i] === y[j] ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
  let i = 0, j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) { put("=", x[i]); i++; j++; }
    else if (i < x.length && (j >= y.length || best[(i + 1) * width + j] >= best[i * width + j + 1])) put("-", x[i++]);
    else put("+", y[j++]);
  }
  if (end) put("=", a.slice(a.length - end).join(""));
  return found;
}

const TAGS = { "=": "span", "-": "del", "+": "ins" };
function wordDiff(segments) {
  return h("div", { class: "text diff words", dir: "auto", tabindex: "0", role: "group", "aria-label": "Difference by words" },
    segments.map(([sign, piece]) => h(TAGS[sign], {}, piece)));
}

const CONTEXT = 3;
function lineDiff(segments) {
  const rows = [];
  let old = 1, fresh = 1;
  for (const [sign, piece] of segments)
    for (const line of piece.replace(/\n$/, "").split("\n"))
      rows.push([sign, sign === "+" ? "" : old++, sign === "-" ? "" : fresh++, line]);
  const near = new Uint8Array(rows.length);
  rows.forEach((row, place) => { if (row[0] !== "=") near.fill(1, Math.max(0, place - CONTEXT), place + CONTEXT + 1); });
  const body = h("tbody", {});
  const draw = ([sign, left, right, line]) => h("tr", { class: sign === "-" ? "del" : sign === "+" ? "ins" : "" },
    h("td", { class: "no" }, left), h("td", { class: "no" }, right),
    h("td", { class: "sign" }, sign === "-" ? "−" : sign === "+" ? "+" : "", h("span", { class: "hidden" }, sign === "-" ? "removed" : sign === "+" ? "added" : "")),
    h("td", { class: "line" }, h("code", {}, line || " ")));
  for (let place = 0; place < rows.length;) {
    let until = place;
    while (until < rows.length && !near[until]) until++;
    if (until - place > 2 && segments.length > 1) {
      const folded = rows.slice(place, until);
      const unfold = h("tr", { class: "fold" }, h("td", { colspan: "4" }, h("button", { type: "button", class: "link",
        onclick: () => unfold.replaceWith(...folded.map(draw)) }, `${plural(folded.length, "equal line")}`)));
      body.append(unfold);
      place = until;
    } else body.append(draw(rows[place++]));
  }
  return h("div", { class: "text diff lines", tabindex: "0", role: "group", "aria-label": "Difference by lines" }, h("table", {}, body));
}
const showDiff = (segments, by) => (by === "word" ? wordDiff(segments) : lineDiff(segments));
const diffWay = () => (D.study.kind === "prose" ? "word" : "line");

function counted(segments, by) {
  const count = (sign) => segments.filter((one) => one[0] === sign)
    .reduce((sum, one) => sum + (by === "word" ? (one[1].match(/[\p{L}\p{N}_]+/gu) || []).length : one[1].replace(/\n$/, "").split("\n").length), 0);
  const noun = by === "word" ? "word" : "line";
  return h("span", { class: "count" }, h("span", { class: "plus" }, `+${plural(count("+"), noun)}`), " ", h("span", { class: "minus" }, `−${plural(count("-"), noun)}`));
}
function nearestWanted(answer) {
  const bag = (value) => new Set(value.toLowerCase().match(/[\p{L}\p{N}_]+/gu) || []);
  const said = bag(answer);
  let best = 0, most = -1;
  D.sweep.wanted.forEach((number, place) => {
    const wanted = bag(text(number));
    let shared = 0;
    for (const word of wanted) if (said.has(word)) shared++;
    const share = shared / (wanted.size + said.size || 1);
    if (share > most) { most = share; best = place; }
  });
  return best;
}
