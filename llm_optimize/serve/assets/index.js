// All studies of the store side by side, each with where it stands.
"use strict";
const states = { running: ["running", "good"], stopped: ["ended", ""], killed: ["not running", "warn"] };
const LARGE = 10000;  // evaluations; the curve of a larger study is on its own page
const curves = new Map();  // by name: [evaluations that it shows, its points]
function small(points) {
  const values = points.filter((value) => value !== null);
  if (values.length < 2) return make("div", { class: "curve" });
  const low = Math.min(...values), high = Math.max(...values), x = (place) => (place / points.length) * 300, y = (value) => 56 - (high > low ? (value - low) / (high - low) : 0) * 52;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  let way = "";
  points.forEach((value, place) => { if (value !== null) way += way ? `H${x(place).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(place).toFixed(1)} ${y(value).toFixed(1)}`; });
  path.setAttribute("d", `${way}H300`);
  path.setAttribute("class", "curve");
  for (const [name, value] of [["viewBox", "0 0 300 60"], ["preserveAspectRatio", "none"], ["class", "curve"], ["role", "img"], ["aria-label", `best score from ${number(values[0])} to ${number(values[values.length - 1])}`]]) svg.setAttribute(name, value);
  svg.append(path);
  return svg;
}
async function fetchCurves(studies) {
  for (const study of studies) {
    const known = curves.get(study.name);
    if (study.trials > LARGE || (known && known[0] === study.trials)) continue;
    try {
      const answer = await fetch(`/api/curve?study=${encodeURIComponent(study.name)}`);
      if (!answer.ok) continue;
      curves.set(study.name, [study.trials, (await answer.json()).best]);
      const place = [...document.querySelectorAll("a.study")].find((one) => one.dataset.name === study.name);
      if (place) place.querySelector(".curve").replaceWith(small(curves.get(study.name)[1]));
    } catch { return; }  // the connection is lost, which the chip says
  }
}
let latest = [], fetching = false;
async function drawCurves() {
  if (fetching) return;
  fetching = true;
  await fetchCurves(latest.slice(0, 60));
  fetching = false;
}
setInterval(drawCurves, 3000);

function card(study) {
  const facts = [["best", number(study.best)], ["evaluations", number(study.trials)], ["latest", when(study.updated)]];
  return make("a", { class: "card study", "data-name": study.name, href: `/study?study=${encodeURIComponent(study.name)}` },
    make("div", { class: "parthead" }, make("b", { dir: "auto", class: "studyname" }, study.name), make("span", { class: `chip ${states[study.state][1]}` }, states[study.state][0]), study.here && make("span", { class: "chip good", title: "this page is served by the process that runs it" }, "here")),
    make("dl", { class: "facts" }, facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    curves.has(study.name) ? small(curves.get(study.name)[1]) : make("div", { class: "curve" }),
    make("p", { class: "small", dir: "auto" }, study.reason));
}
follow(() => "/api/listing", {
  studies: (studies) => {
    $("none").hidden = studies.length > 0;
    const order = [...studies].sort((a, b) => (b.state === "running") - (a.state === "running") || b.updated - a.updated);
    const at = document.activeElement && document.activeElement.getAttribute("href");
    $("studies").replaceChildren(...order.map(card));
    latest = order;
    if (!curves.size) drawCurves();
    if (at) for (const link of document.querySelectorAll("a.study")) if (link.getAttribute("href") === at) link.focus();
  },
});
