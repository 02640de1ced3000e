// A table of any length: only the rows in view are in the page; sorting, filtering and the keyboard work on all of them.
const ROW = 34, AROUND = 8, PRINTED = 100;

// A numeric filter: "0.3", ">0.3", "<=2", "0.2..0.8"; "-" for a value that is missing.
function numberTest(words) {
  const value = words.trim().replace(/,/g, "");
  if (!value) return null;
  if (value === "-" || value === "–") return (v) => v === null || v === undefined;
  const span = value.match(/^(-?[\d.eE+-]+?)\s*\.\.\s*(-?[\d.eE+-]+)$/);
  if (span) return (v) => v !== null && v >= +span[1] && v <= +span[2];
  const compared = value.match(/^(<=|>=|<|>|=)?\s*(-?[\d.][\d.eE+-]*)$/);
  if (!compared || Number.isNaN(+compared[2])) return () => false;
  const limit = +compared[2];
  return { "<": (v) => v !== null && v < limit, ">": (v) => v !== null && v > limit, "<=": (v) => v !== null && v <= limit,
    ">=": (v) => v !== null && v >= limit }[compared[1]] || ((v) => v === limit);
}

class Table {
  // columns: {name, label, kind: "number" | "text" | "choice", value(row), cell?(row), width, title?}
  constructor({ label, columns, count, search, open, sort }) {
    Object.assign(this, { label, columns, count, search, open });
    this.sortBy = sort ? sort.column : null;
    this.up = sort ? sort.up : true;
    this.filters = new Map();
    this.query = "";
    this.active = 0;
    this.haystack = null;
    this.build();
    this.refresh();
  }

  build() {
    this.counted = h("span", { class: "counted", role: "status", "aria-live": "polite" });
    this.box = h("input", { type: "search", class: "search", placeholder: "Search all texts", "aria-label": `Search the ${this.label}` });
    let wait = 0;
    this.box.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => { this.query = this.box.value.trim().toLowerCase(); this.refresh(); }, 90); });
    this.reset = h("button", { type: "button", class: "button small", onclick: () => this.clear() }, "Clear filters");
    this.heads = this.columns.map((column) => {
      const button = h("button", { type: "button", class: "sort", title: column.title, onclick: () => this.sort(column.name) }, h("span", {}, column.label), h("span", { class: "arrow", "aria-hidden": "true" }));
      return h("th", { scope: "col", class: column.kind === "number" ? "num" : "", "data-column": column.name }, button);
    });
    this.inputs = this.columns.map((column) => h("td", {}, this.filterOf(column)));
    this.body = h("tbody", {});
    this.table = h("table", { class: "grid", role: "grid", "aria-label": this.label, "aria-colcount": this.columns.length },
      h("colgroup", {}, this.columns.map((column) => { const one = h("col"); one.style.width = (column.width || 90) + "px"; return one; })),
      h("thead", {}, h("tr", { "aria-rowindex": "1" }, this.heads), h("tr", { class: "filters" }, this.inputs)), this.body);
    this.table.style.minWidth = this.columns.reduce((sum, column) => sum + (column.width || 90), 0) + "px";
    this.scroller = h("div", { class: "scroller" }, this.table);
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-place]");
      if (row) { this.active = +row.dataset.place; this.open(this.view[this.active], this); }
    });
    this.node = h("div", { class: "tablebox" }, h("div", { class: "toolbar" }, this.box, this.reset, this.counted), this.scroller,
      h("p", { class: "hint" }, "Arrow keys move, Enter opens. Filters of numbers: 0.3, >0.3, 0.2..0.8, - for none."));
    new ResizeObserver(() => this.draw()).observe(this.scroller);
  }

  filterOf(column) {
    const label = `Filter ${column.label}`;
    if (column.kind === "choice") {
      const values = [...new Set(Array.from({ length: this.count }, (_, row) => column.value(row)))].sort();
      const select = h("select", { "aria-label": label, class: "filter" }, h("option", { value: "" }, "all"), values.map((value, place) => h("option", { value: String(place) }, value === "" ? "(none)" : value)));
      select.addEventListener("change", () => this.filter(column.name, select.value === "" ? null : (row) => column.value(row) === values[+select.value]));
      return select;
    }
    const input = h("input", { type: "text", class: "filter", "aria-label": label, spellcheck: "false" });
    input.addEventListener("input", () => {
      const words = input.value.trim().toLowerCase();
      if (column.kind === "number") {
        const test = numberTest(words);
        this.filter(column.name, test && ((row) => test(column.value(row))));
      } else this.filter(column.name, words ? (row) => String(column.value(row)).toLowerCase().includes(words) : null);
    });
    return input;
  }

  filter(name, test) {
    if (test) this.filters.set(name, test); else this.filters.delete(name);
    this.refresh();
  }

  clear() {
    this.filters.clear();
    this.query = this.box.value = "";
    for (const input of this.table.querySelectorAll(".filter")) input.value = "";
    this.refresh();
  }

  sort(name) {
    this.up = this.sortBy === name ? !this.up : this.columns.find((column) => column.name === name).first !== "down";
    this.sortBy = name;
    this.refresh();
    const column = this.columns.find((one) => one.name === name);
    say(`Sorted by ${column.label}, ${this.up ? "ascending" : "descending"}`);
  }

  refresh() {
    const tests = [...this.filters.values()];
    if (this.query) {
      this.haystack = this.haystack || Array.from({ length: this.count }, (_, row) => this.search(row).toLowerCase());
      tests.push((row) => this.haystack[row].includes(this.query));
    }
    const view = [];
    for (let row = 0; row < this.count; row++) if (tests.every((test) => test(row))) view.push(row);
    const column = this.columns.find((one) => one.name === this.sortBy);
    if (column) {
      const keys = view.map((row) => column.value(row)), order = view.map((_, place) => place), way = this.up ? 1 : -1;
      const missing = (value) => value === null || value === undefined;
      order.sort((p, q) => {
        const a = keys[p], b = keys[q];
        if (missing(a) || missing(b)) return missing(a) - missing(b) || p - q;  // what is missing stays last either way
        if (typeof a === "number" && typeof b === "number") return way * (a - b) || p - q;
        return way * String(a).localeCompare(String(b), "en", { numeric: true }) || p - q;
      });
      this.view = order.map((place) => view[place]);
    } else this.view = view;
    this.heads.forEach((head, place) => {
      const mine = this.columns[place].name === this.sortBy;
      head.setAttribute("aria-sort", mine ? (this.up ? "ascending" : "descending") : "none");
    });
    this.table.setAttribute("aria-rowcount", this.view.length + 1);
    this.counted.textContent = this.view.length === this.count ? plural(this.count, "row") : `${whole.format(this.view.length)} of ${plural(this.count, "row")}`;
    this.reset.hidden = !this.filters.size && !this.query;
    this.active = Math.min(this.active, Math.max(0, this.view.length - 1));
    this.scroller.scrollTop = 0;
    this.scroller.style.height = Math.min(560, 86 + Math.max(1, this.view.length) * ROW) + "px";
    this.drawn = null;
    this.draw();
  }

  draw() {
    const height = this.scroller.clientHeight || 520;
    const first = this.printing ? 0 : Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - AROUND);
    const last = this.printing ? Math.min(PRINTED, this.view.length) : Math.min(this.view.length, first + Math.ceil(height / ROW) + 2 * AROUND);
    const key = `${first} ${last} ${this.active}`;
    if (this.drawn === key) return;
    this.drawn = key;
    const focused = this.body.contains(document.activeElement);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(this.row(place));
    const spacer = (count) => { const one = h("tr", { class: "spacer", "aria-hidden": "true" }, h("td", { colspan: this.columns.length })); one.style.height = count * ROW + "px"; return one; };
    this.body.replaceChildren(...(first ? [spacer(first)] : []), ...rows, ...(last < this.view.length && !this.printing ? [spacer(this.view.length - last)] : []));
    if (!this.view.length) this.body.append(h("tr", {}, h("td", { colspan: this.columns.length, class: "empty" }, "No row matches.")));
    if (focused) this.focus(false);
  }

  row(place) {
    const row = this.view[place];
    return h("tr", { "data-place": place, "aria-rowindex": place + 2, tabindex: place === this.active ? "0" : "-1", class: this.mark ? this.mark(row) : "" },
      this.columns.map((column) => h("td", { role: "gridcell", class: column.kind === "number" ? "num" : "" }, column.cell ? column.cell(row) : this.plain(column, row))));
  }

  plain(column, row) {
    const value = column.value(row);
    return column.kind === "number" ? figure(value) : oneLine(String(value === null ? "–" : value));
  }

  focus(scroll = true) {
    if (scroll) {
      const top = this.active * ROW, head = this.table.tHead.offsetHeight, box = this.scroller;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top + ROW + head > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW + head - box.clientHeight;
      this.drawn = null;
      this.draw();
    }
    const row = this.body.querySelector(`tr[data-place="${this.active}"]`);
    if (row) row.focus({ preventScroll: true });
  }

  key(event) {
    const jump = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 3);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: jump, PageUp: -jump, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      this.active = Math.max(0, Math.min(this.view.length - 1, this.active + steps[event.key]));
      this.focus();
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      this.open(this.view[this.active], this);
      event.preventDefault();
    }
  }

  step(by) {
    const place = this.active + by;
    if (place < 0 || place >= this.view.length) return null;
    this.active = place;
    this.focus();
    return this.view[place];
  }

  forPrint(on) { this.printing = on; this.drawn = null; this.draw(); }
}
