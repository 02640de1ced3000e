// All studies of the store side by side, each with where it stands.
"use strict";
const states = { running: "good", stopped: "", killed: "warn" };
function card(study) {
  const facts = [["best", number(study.best)], ["evaluations", number(study.trials)], ["latest", clock(study.updated)]];
  return make("a", { class: "card study", href: `/study?study=${encodeURIComponent(study.name)}` },
    make("div", { class: "parthead" }, make("b", { dir: "auto", class: "studyname" }, study.name), make("span", { class: `chip ${states[study.state] || ""}` }, study.state), study.here && make("span", { class: "chip good" }, "here")),
    make("dl", { class: "facts" }, facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    make("p", { class: "small", dir: "auto" }, study.reason));
}
follow(() => "/api/listing", {
  studies: (studies) => {
    $("none").hidden = studies.length > 0;
    const order = [...studies].sort((a, b) => (b.state === "running") - (a.state === "running") || b.updated - a.updated);
    const at = document.activeElement && document.activeElement.getAttribute("href");
    $("studies").replaceChildren(...order.map(card));
    if (at) for (const link of document.querySelectorAll("a.study")) if (link.getAttribute("href") === at) link.focus();
  },
});
