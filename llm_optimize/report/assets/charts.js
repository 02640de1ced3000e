// Curves, drawn by uPlot on a canvas; long studies are thinned so that every extreme and every improvement stays.
const charts = [];
const MOST_POINTS = 3000, BUCKETS = 900;
const AXES = {
  evaluation: ["Evaluations", (course) => course.score.map((_, row) => row + 1)],
  seconds: ["Seconds", (course) => course.seconds],
  tokens: ["Tokens", (course) => course.tokens],
  dollars: ["Dollars", (course) => course.dollars],
};

const counts = (axis) => ({ values: (_, values) => values.map((v) => figure(v)), ...(axis === "evaluation" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5] } : {}) });

// Rows to draw: of each stretch the lowest, the highest and the last, and whatever improved the best.
function thinned(rows, score, best) {
  if (rows.length <= MOST_POINTS) return rows;
  const kept = [], size = rows.length / BUCKETS;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const part = rows.slice(Math.floor(bucket * size), Math.floor((bucket + 1) * size));
    let low = part[0], high = part[0];
    const keep = new Set([part[part.length - 1]]);
    for (const row of part) {
      if (score[row] === null) continue;
      if (score[low] === null || score[row] < score[low]) low = row;
      if (score[high] === null || score[row] > score[high]) high = row;
      if (row && best[row] !== best[row - 1]) keep.add(row);
    }
    keep.add(low).add(high);
    kept.push(...[...keep].sort((a, b) => a - b));
  }
  return kept;
}

class Curve {
  constructor(node, make) { this.node = node; this.make = make; charts.push(this); this.draw(); new ResizeObserver(() => this.fit()).observe(node); }
  draw() {
    if (this.plot) this.plot.destroy();
    const { options, data } = this.make(this);
    const ink = colour("--muted"), line = colour("--line");
    options.axes = options.axes.map((axis) => ({ stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui", labelFont: "12px system-ui", labelSize: 20, ...axis }));
    this.plot = new uPlot({ width: Math.max(280, this.node.clientWidth), height: 320, ...options }, data, this.node);
  }
  fit() { const width = Math.max(280, this.node.clientWidth); if (this.plot && Math.abs(this.plot.width - width) > 2) this.plot.setSize({ width, height: this.plot.height }); }
}

function scoreCurve(node, state, open, told) {
  const course = D.course;
  const all = course.score.map((_, row) => row);
  return new Curve(node, (curve) => {
    const x = AXES[state.axis][1](course);
    const inside = state.range ? all.filter((row) => x[row] >= state.range[0] && x[row] <= state.range[1]) : all;
    const rows = thinned(inside, course.score, course.best);
    told(rows.length, inside.length);
    const pick = (value) => rows.map(value);
    const data = [pick((row) => x[row]),
      pick((row) => (course.half[row] === null ? null : course.best[row] + course.half[row])),
      pick((row) => (course.half[row] === null ? null : course.best[row] - course.half[row])),
      pick((row) => course.best[row]),
      pick((row) => (course.part[row] === 0 ? course.score[row] : null)),
      pick((row) => (course.part[row] !== 0 ? course.score[row] : null))];
    const accent = colour("--accent"), point = colour("--point"), again = colour("--again"), bad = colour("--bad");
    const none = { show: false }, step = uPlot.paths.stepped({ align: 1 });
    const marks = { paths: () => null, points: none };  // drawn by dots(), the series only widen the scale
    const options = {
      series: [{ label: AXES[state.axis][0], value: (_, v) => figure(v) },
        { label: "upper", stroke: "transparent", paths: step, points: none },
        { label: "lower", stroke: "transparent", paths: step, points: none },
        { label: "Best so far", stroke: accent, width: 2, paths: step, points: none, value: (_, v) => figure(v) },
        { label: isSweep ? "Pair" : "Candidate", ...marks },
        { label: "Repeated", ...marks }],
      bands: [{ series: [1, 2], fill: colour("--band") }],
      axes: [{ label: AXES[state.axis][0], ...counts(state.axis) }, { label: isSweep ? "Similarity" : "Score", size: 64, values: (_, values) => values.map((v) => figure(v)) }],
      scales: { x: { time: false } },
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 9 } },
      hooks: {
        setSelect: [(u) => {
          if (u.select.width < 8) return;
          state.range = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
          requestAnimationFrame(() => curve.draw());
        }],
        setCursor: [(u) => { state.show(u.cursor.idx === null || u.cursor.idx === undefined ? null : rows[u.cursor.idx]); }],
        draw: [(u) => dots(u, rows, x, { bad, again, point })],
      },
    };
    return { options, data };
  });
}

// Every evaluation as a dot, repeated ones as rings, failures as ticks on the lower edge, and the spread of candidates
// that were scored several times.
function dots(u, rows, x, ink) {
  const c = u.ctx, bottom = u.bbox.top + u.bbox.height, ratio = devicePixelRatio, many = rows.length > 800;
  const radius = (many ? 1.6 : 3.5) * ratio;
  c.save();
  c.beginPath();
  c.rect(u.bbox.left - 6 * ratio, u.bbox.top - 6 * ratio, u.bbox.width + 12 * ratio, u.bbox.height + 12 * ratio);
  c.clip();
  c.lineWidth = 1.4 * ratio;
  for (const row of rows) {
    const at = u.valToPos(x[row], "x", true), score = D.course.score[row];
    c.beginPath();
    if (score === null) {
      c.strokeStyle = ink.bad;
      c.moveTo(at, bottom); c.lineTo(at, bottom - 9 * ratio); c.stroke();
      continue;
    }
    const first = D.course.part[row] === 0, trial = rowOf.get(D.course.trial[row]);
    const spread = trial === undefined ? null : D.trials.spread[trial];
    if (spread && first && !many) {
      const mean = D.trials.score[trial];
      c.strokeStyle = ink.again;
      c.moveTo(at, u.valToPos(mean - spread, "y", true)); c.lineTo(at, u.valToPos(mean + spread, "y", true)); c.stroke();
      c.beginPath();
    }
    c.arc(at, u.valToPos(score, "y", true), radius, 0, 7);
    c.globalAlpha = many ? 0.55 : 0.9;
    if (first) { c.fillStyle = ink.point; c.fill(); } else { c.strokeStyle = ink.again; c.stroke(); }
    c.globalAlpha = 1;
  }
  c.restore();
}

function costCurve(node, state) {
  const course = D.course, all = course.score.map((_, row) => row);
  return new Curve(node, () => {
    const x = AXES[state.axis][1](course), rows = thinned(all, course[state.what], course[state.what]);
    const accent = colour("--accent");
    return {
      data: [rows.map((row) => x[row]), rows.map((row) => course[state.what][row])],
      options: { height: 220, legend: { show: false }, scales: { x: { time: false } },
        series: [{}, { stroke: accent, fill: colour("--band"), width: 2, points: { show: rows.length < 40, size: 5, fill: accent } }],
        axes: [{ label: AXES[state.axis][0], ...counts(state.axis) }, { size: 74, label: state.what === "dollars" ? "Dollars" : "Tokens", values: (_, values) => values.map((v) => (state.what === "dollars" ? "$" + figure(v) : figure(v))) }] },
    };
  });
}
