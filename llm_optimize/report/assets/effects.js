// The effect of each setting of a sweep, and of the two that matter most together.
function effectCard(effect) {
  const W = 300, H = 150, L = 46, R = 8, T = 10, B = 30;
  const low = Math.min(...D.sweep.effects.flatMap((one) => one.steps.map((step) => step[2] - step[3])));
  const high = Math.max(...D.sweep.effects.flatMap((one) => one.steps.map((step) => step[2] + step[3])));
  const room = (high - low) * 0.06 || 0.5;
  const y = (value) => T + (H - T - B) * (1 - (value - low + room) / (high - low + 2 * room));
  const steps = effect.steps, numeric = steps.every((step) => step[1] !== null);
  const least = numeric ? Math.min(...steps.map((step) => step[1])) : 0, most = numeric ? Math.max(...steps.map((step) => step[1])) : steps.length - 1;
  const x = (step, place) => L + 12 + (W - L - R - 24) * (most === least ? 0.5 : ((numeric ? step[1] : place) - least) / (most - least));
  const points = steps.map((step, place) => [x(step, place), y(step[2])]);
  const shown = (place) => numeric ? place === 0 || place === steps.length - 1 || (steps.length > 3 && place === Math.floor(steps.length / 2)) : true;
  const best = steps.reduce((a, b) => (b[2] > a[2] ? b : a));
  const ticks = [low, (low + high) / 2, high];
  const picture = s("svg", { viewBox: `0 0 ${W} ${H}`, class: "effect", role: "img", "aria-label":
      `${effect.name}: ${percent(effect.share)} of the variance; best at ${best[0]} with ${figure(best[2])}` },
    ticks.map((value) => [s("line", { x1: L, x2: W - R, y1: y(value), y2: y(value), class: "grid" }), s("text", { x: L - 6, y: y(value) + 4, class: "tick end" }, figure(value, 3))]),
    points.length > 1 && numeric && s("polygon", { class: "band", points: [...steps.map((step, place) => `${x(step, place)},${y(step[2] + step[3])}`),
      ...steps.map((step, place) => `${x(step, place)},${y(step[2] - step[3])}`).reverse()].join(" ") }),
    numeric && s("polyline", { class: "curve", points: points.map((one) => one.join(",")).join(" ") }),
    steps.map((step, place) => [
      !numeric && s("line", { class: "whisker", x1: x(step, place), x2: x(step, place), y1: y(step[2] - step[3]), y2: y(step[2] + step[3]) }),
      s("circle", { cx: points[place][0], cy: points[place][1], r: step === best ? 4.5 : 3, class: step === best ? "dot best" : "dot" },
        s("title", {}, `${effect.name} ${step[0]}: ${figure(step[2])} ± ${figure(step[3], 2)} (${plural(step[4], "pair")})`)),
      shown(place) && s("text", { x: points[place][0], y: H - 10, class: "tick mid" }, numeric ? figure(step[1], 3) : oneLine(step[0], Math.max(4, Math.floor(36 / steps.length))))]));
  const fillBar = h("span", { class: "fill" });
  fillBar.style.width = Math.max(0.5, effect.share * 100) + "%";
  return h("figure", { class: "effectcard" },
    h("figcaption", {}, h("strong", {}, effect.name), effect.ignored && h("span", { class: "chip warn" }, "ignored by the endpoint"),
      h("span", { class: "share" }, percent(effect.share), h("span", { class: "hidden" }, " of the variance"))),
    h("span", { class: "meter", "aria-hidden": "true" }, fillBar), picture,
    h("p", { class: "small" }, "Best at ", h("b", { dir: "auto" }, best[0]), `: ${figure(best[2])} ± ${figure(best[3], 2)}`));
}

function heatMap(heat) {
  const cell = 46, L = 110, T = 8, B = 64, W = L + heat.xs.length * cell, H = T + heat.ys.length * (cell - 14) + B, tall = cell - 14;
  const values = heat.cells.map((one) => one[2]), low = Math.min(...values), high = Math.max(...values);
  const level = (value) => (high === low ? 4 : Math.min(8, Math.floor(((value - low) / (high - low)) * 9)));
  return h("figure", { class: "heat" },
    h("figcaption", {}, h("strong", {}, `${heat.x} × ${heat.y}`), " mean similarity"),
    s("svg", { viewBox: `0 0 ${W + 10} ${H}`, role: "img", "aria-label": `Mean similarity by ${heat.x} and ${heat.y}, from ${figure(low)} to ${figure(high)}` },
      heat.cells.map(([i, j, mean, n]) => [
        s("rect", { x: L + i * cell, y: T + (heat.ys.length - 1 - j) * tall, width: cell - 2, height: tall - 2, rx: 3, class: `heat${level(mean)}` },
          s("title", {}, `${heat.x} ${heat.xs[i]}, ${heat.y} ${heat.ys[j]}: ${figure(mean)} (${plural(n, "pair")})`)),
        s("text", { x: L + i * cell + cell / 2 - 1, y: T + (heat.ys.length - 1 - j) * tall + tall / 2 + 3, class: `tick mid ${level(mean) > 5 ? "on" : ""}` }, figure(mean, 2))]),
      heat.ys.map((label, j) => s("text", { x: L - 8, y: T + (heat.ys.length - 1 - j) * tall + tall / 2 + 4, class: "tick end" }, oneLine(label, 15))),
      heat.xs.map((label, i) => s("text", { x: L + i * cell + cell / 2, y: H - B + 14, class: "tick end", transform: `rotate(-35 ${L + i * cell + cell / 2} ${H - B + 14})` }, oneLine(label, 15)))),
    h("p", { class: "small" }, `Across: ${heat.x}. Up: ${heat.y}.`));
}
