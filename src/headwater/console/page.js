// The status page. It asks for /status.json every two seconds and changes only what changed, so that nothing flickers and
// scroll positions, filters and opened dead letters stay. Names come from clients: they are written as text, never as HTML.
"use strict";

const EVERY_MS = 2000;
const RATE_WINDOW_MS = 10_000;
const SPARK_POINTS = 30;
const ROWS_SHOWN = 12;
const LETTERS_SHOWN = 8;

// The last figures that were had, and when (ms since 1970).
let last = null;
let lastAt = 0;

// ---------------------------------------------------------------- small tools

const byId = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// Makes the children of `parent` those of `items`, by key: what is there is updated in place and moved only where the order changed.
function reconcile(parent, items, keyOf, create, update) {
  const old = parent._byKey || new Map();
  const now = new Map();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (now.has(key)) continue;
    const element = old.get(key) || create(item);
    update(element, item);
    now.set(key, element);
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  for (const [key, element] of old) if (!now.has(key)) element.remove();
  parent._byKey = now;
}

const whole = new Intl.NumberFormat("en");
const count = (value) => (typeof value === "number" ? whole.format(value) : "–");

function rateText(value) {
  if (value === null) return "–";
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(1) : whole.format(Math.round(value));
}

function msText(value) {
  if (typeof value !== "number") return "–";
  return value < 10_000 ? `${whole.format(Math.round(value))} ms` : `${(value / 1000).toFixed(1)} s`;
}

function ageText(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

const clockText = (ms) => (typeof ms === "number" ? new Date(ms).toLocaleTimeString("en-GB") : "");
const sum = (counts) => Object.values(counts || {}).reduce((total, value) => total + value, 0);

// ---------------------------------------------------------------- rates

// The last ten seconds of every counter that is shown with a rate, and the past rates of those that have a sparkline.
const samples = new Map();
const sparks = new Map();
let sampledAt = 0;

function rate(key, value) {
  let kept = samples.get(key);
  if (!kept || value < kept[kept.length - 1][1]) samples.set(key, (kept = []));
  if (!kept.length || kept[kept.length - 1][0] !== sampledAt) kept.push([sampledAt, value]);
  while (kept.length > 2 && sampledAt - kept[0][0] > RATE_WINDOW_MS) kept.shift();
  const [from, to] = [kept[0], kept[kept.length - 1]];
  return to[0] > from[0] ? ((to[1] - from[1]) * 1000) / (to[0] - from[0]) : null;
}

function sparkline(svg, key, value) {
  let past = sparks.get(key);
  if (!past) sparks.set(key, (past = { last: null, rates: [] }));
  if (past.last && sampledAt > past.last[0]) {
    past.rates.push(Math.max(0, ((value - past.last[1]) * 1000) / (sampledAt - past.last[0])));
    if (past.rates.length > SPARK_POINTS) past.rates.shift();
  }
  if (!past.last || sampledAt > past.last[0]) past.last = [sampledAt, value];
  const [area, stroke] = svg.children;
  if (past.rates.length < 2) return;
  const top = Math.max(...past.rates, 1e-9);
  const step = 132 / (SPARK_POINTS - 1);
  const start = 132 - step * (past.rates.length - 1);
  const points = past.rates.map((one, i) => `${(start + i * step).toFixed(1)} ${(29 - (27 * one) / top).toFixed(1)}`);
  stroke.setAttribute("d", `M${points.join("L")}`);
  area.setAttribute("d", `M${start.toFixed(1)} 30L${points.join("L")}L132 30Z`);
}

function makeSpark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 132 30");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const name of ["area", "stroke"]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

// ---------------------------------------------------------------- tables

// A column: {title, of: row → value, num, rate, minor, tone: value → class}. The first one is the row's name and key.
class DataTable {
  constructor(id, title, size, none, columns, sortBy) {
    this.columns = columns;
    this.sortBy = sortBy;
    this.descending = columns[sortBy].num === true;
    this.rows = [];
    this.all = false;
    this.panel = make("section", `panel ${size}`);
    this.panel.id = id;
    const bar = make("div", "bar");
    this.count = make("span", "muted");
    this.filter = make("input");
    this.filter.type = "search";
    this.filter.placeholder = "Filter";
    this.filter.setAttribute("aria-label", `Filter ${title.toLowerCase()}`);
    this.filter.addEventListener("input", () => this.draw());
    bar.append(make("h2", "", title), this.count, this.filter);
    this.none = make("p", "none", none);
    this.scroll = make("div", "scroll");
    const table = make("table");
    const head = make("tr");
    this.heads = columns.map((column, at) => {
      const cell = make("th", [column.num ? "num" : "", column.minor ? "minor" : ""].join(" ").trim());
      cell.scope = "col";
      const button = make("button", "", column.title);
      button.addEventListener("click", () => this.sort(at));
      cell.append(button);
      head.append(cell);
      return cell;
    });
    const headGroup = make("thead");
    headGroup.append(head);
    this.body = make("tbody");
    table.append(headGroup, this.body);
    this.scroll.append(table);
    this.more = make("button", "more");
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      this.draw();
    });
    this.panel.append(bar, this.none, this.scroll, this.more);
    byId("tables").append(this.panel);
  }

  sort(at) {
    this.descending = this.sortBy === at ? !this.descending : this.columns[at].num === true;
    this.sortBy = at;
    this.draw();
  }

  update(rows) {
    for (const row of rows) {
      row.values = this.columns.map((column) => (column.rate ? rate(`${this.panel.id}/${row.key}`, column.of(row)) : column.of(row)));
    }
    this.rows = rows;
    this.draw();
  }

  draw() {
    const wanted = this.filter.value.trim().toLowerCase();
    const named = (row) => row.values.some((value) => typeof value === "string" && value.toLowerCase().includes(wanted));
    const found = wanted ? this.rows.filter(named) : this.rows;
    const order = this.descending ? -1 : 1;
    const sorted = [...found].sort((a, b) => order * compare(a.values[this.sortBy], b.values[this.sortBy]) || compare(a.key, b.key));
    const shown = this.all ? sorted : sorted.slice(0, ROWS_SHOWN);
    this.heads.forEach((head, at) => {
      if (at === this.sortBy) head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    setText(this.count, this.rows.length ? (wanted ? `${count(found.length)} of ${count(this.rows.length)}` : count(this.rows.length)) : "");
    this.none.hidden = this.rows.length > 0;
    this.scroll.hidden = this.rows.length === 0;
    this.filter.hidden = this.rows.length <= ROWS_SHOWN && !wanted;
    this.more.hidden = found.length <= ROWS_SHOWN;
    setText(this.more, this.all ? "Show fewer" : `Show all ${count(found.length)}`);
    setClass(this.scroll, this.all ? "scroll all" : "scroll");
    reconcile(this.body, shown, (row) => row.key, () => this.makeRow(), (element, row) => this.updateRow(element, row));
  }

  makeRow() {
    const row = make("tr");
    for (let at = 0; at < this.columns.length; at++) row.append(make("td"));
    return row;
  }

  updateRow(element, row) {
    setClass(element, row.stopped ? "stopped" : "");
    if (row.title && element.title !== row.title) element.title = row.title;
    this.columns.forEach((column, at) => {
      const value = row.values[at];
      const cell = element.children[at];
      setText(cell, column.rate ? rateText(value) : column.num ? count(value) : String(value ?? ""));
      const tone = column.num && !value ? "zero" : column.tone && value ? column.tone : "";
      setClass(cell, [column.num ? "num" : "name", column.minor ? "minor" : "", tone].join(" ").trim());
    });
  }
}

function compare(a, b) {
  if (typeof a === "number" || typeof b === "number") return (a ?? -1) - (b ?? -1);
  return String(a ?? "").localeCompare(String(b ?? ""), "en");
}

const text = (title, of, more) => ({ title, of, ...more });
const number = (title, of, more) => ({ title, of, num: true, ...more });
const perSecond = (of, more) => ({ title: "/s", of, num: true, rate: true, ...more });

let tables = null;

function makeTables() {
  tables = {
    events: new DataTable("events", "Events", "narrower", "No event was reported yet.", [
      text("Event", (r) => r.event), text("App", (r) => r.app, { minor: true }), perSecond((r) => r.accepted), number("Accepted", (r) => r.accepted),
      number("Violations", (r) => r.flagged, { tone: "warn", minor: true }), number("Dead", (r) => r.dead, { tone: "bad" }),
    ], 3),
    rules: new DataTable("rules", "Rules", "wider", "No rule runs.", [
      text("Rule", (r) => r.name), text("Into", (r) => r.into, { minor: true }), perSecond((r) => r.matched), number("Matched", (r) => r.matched),
      number("Not matched", (r) => r.not_matched, { minor: true }), number("Where errors", (r) => r.where_errors, { tone: "warn", minor: true }),
      number("Failed", (r) => r.failed, { tone: "bad" }),
    ], 3),
    datasets: new DataTable("datasets", "Datasets", "", "No dataset holds anything yet.", [
      text("Dataset", (r) => r.name), perSecond((r) => r.written), number("Rows written", (r) => r.written),
      number("Rows made", (r) => r.emitted, { minor: true }), number("Behind", (r) => r.lag, { tone: "warn" }),
    ], 2),
    refusals: new DataTable("refusals", "Dropped and dead", "", "Nothing was dropped and nothing is dead.", [
      text("Reason", (r) => r.reason), text("What became of it", (r) => r.fate), text("Hop", (r) => r.hop, { minor: true }), perSecond((r) => r.count, { minor: true }), number("Events", (r) => r.count),
    ], 4),
    violations: new DataTable("violations", "Violations of the plan", "", "Every event keeps to its plan.", [
      text("Event", (r) => r.event), text("App", (r) => r.app, { minor: true }), text("What is wrong", (r) => r.wrong), text("Where", (r) => r.where),
      number("Events", (r) => r.count, { tone: "warn" }),
    ], 4),
    fields: new DataTable("fields", "Fields that were not of their type", "", "Every field that a rule names has its registered type.", [
      text("Field", (r) => r.path), number("Coerced", (r) => r.coerced), number("Type errors", (r) => r.type_errors, { tone: "warn" }),
    ], 2),
  };
}

const TURNED_AWAY = "turned away; may come again";
const VIOLATIONS = {
  type: "not of its type", missing: "required, but missing", unregistered_event: "not registered", ignored: "not a client's to say; ignored",
  more: "more than are listed",
};

const entries = (counts) => Object.entries(counts || {});

const failures = (status) => entries(status.etl?.rules).reduce((total, [, rule]) => total + (rule.failed || 0), 0);

function refusals(status) {
  const rows = [];
  const add = (hop, fate, reason, events) => rows.push({ key: `${hop} ${fate} ${reason}`, hop, fate, reason, count: events });
  for (const [reason, events] of entries(status.collect?.dropped)) add("collect", "dropped", reason, events);
  for (const [reason, events] of entries(status.collect?.dead)) add("collect", "dead letter", reason, events);
  for (const [reason, requests] of entries(status.collect?.refused)) add("collect", TURNED_AWAY, reason, requests);
  if (status.etl?.duplicates) add("etl", "dropped", "repeat of an event_id", status.etl.duplicates);
  if (status.etl?.dead) add("etl", "dead letter", "malformed", status.etl.dead);
  if (failures(status)) add("etl", "dead letter", "a rule failed", failures(status));
  return rows.filter((row) => row.count);
}

// What the kernel counted of a rule since the process began.
function ruleTitle(kernel, name) {
  const rule = kernel.rules?.[name];
  if (!rule) return "";
  const ns = Math.round(rule.ns / Math.max(1, kernel.events - kernel.rejects));
  return `Looked at for ${count(rule.evaluated)} events, ${count(rule.bytes)} bytes, ${count(rule.nulls)} columns NULL, about ${count(ns)} ns an event`;
}

function updateTables(status) {
  const { collect = {}, etl = {}, deliver = {} } = status;
  tables.events.update((collect.events || []).map((e) => ({ ...e, key: `${e.app} ${e.event}` })));
  const kernel = etl.kernel || {};
  tables.rules.update(entries(etl.rules).map(([name, rule]) => ({
    ...rule, name, key: name, stopped: rule.running === false, title: rule.running === false ? "This rule is not in the running snapshot." : ruleTitle(kernel, name),
  })));
  const names = new Set([...Object.keys(etl.datasets || {}), ...Object.keys(deliver)]);
  tables.datasets.update([...names].map((name) => ({
    key: name, name, written: deliver[name]?.written ?? 0, emitted: etl.datasets?.[name]?.emitted, lag: deliver[name]?.lag ?? 0, title: deliver[name]?.error || "",
  })));
  tables.refusals.update(refusals(status));
  tables.violations.update((collect.violations || []).map((v) => {
    const [wrong, ...where] = v.violation.split(":");
    return { ...v, key: [v.app, v.event, v.violation].join(" "), wrong: VIOLATIONS[wrong] || wrong, where: where.join(":") };
  }));
  tables.fields.panel.hidden = !kernel.fields;
  const wrong = entries(kernel.fields).filter(([, field]) => field.coerced || field.type_errors);
  tables.fields.update(wrong.map(([path, field]) => ({ ...field, path, key: path })));
}

// ---------------------------------------------------------------- hops

const HOP_TITLES = { collect: "Collect", etl: "ETL", deliver: "Deliver" };
const HOP_UNITS = { deliver: " rows/s" };

// The hops among the balances, by their first word: `deliver orders` and `deliver clicks` are one hop. Balances of rules and of
// datasets are not hops; they are listed where they do not hold.
function hops(status) {
  const found = new Map();
  for (const balance of status.balances || []) {
    const name = balance.hop.split(" ")[0];
    if (name === "rule" || name === "dataset") continue;
    const hop = found.get(name) || { hop: name, in: 0, out: 0, dropped: 0, dead: 0, balanced: true };
    for (const part of ["in", "out", "dropped", "dead"]) hop[part] += balance[part];
    hop.balanced &&= balance.balanced;
    found.set(name, hop);
  }
  if (!found.has("deliver")) found.set("deliver", { hop: "deliver", in: 0, out: 0, dropped: 0, dead: 0, balanced: true });
  return [...found.values()];
}

function updateHops(status) {
  reconcile(byId("hops"), hops(status), (hop) => hop.hop, makeHop, (card, hop) => updateHop(card, hop, status));
}

function makeHop(hop) {
  const card = make("article", "panel hop");
  const head = make("div", "hop-head");
  head.append(make("h2", "", HOP_TITLES[hop.hop] || hop.hop), make("span", "verdict"));
  const middle = make("div", "hop-rate");
  const figure = make("span", "rate");
  figure.append(make("span", "figure"), make("small", "", HOP_UNITS[hop.hop] || " events/s"));
  middle.append(figure, makeSpark());
  const line = make("div", "sum");
  for (const label of ["in", "= out", "+ dropped", "+ dead"]) {
    const part = make("span");
    part.append(make("b"), make("i", "", ""));
    part._label = label;
    line.append(part);
  }
  card.append(head, middle, line, make("div", "reasons"));
  return card;
}

function updateHop(card, hop, status) {
  setClass(card, `panel hop ${hop.balanced ? (hop.in ? "" : "idle") : "off"}`.trim());
  const missing = hop.in - hop.out - hop.dropped - hop.dead;
  const verdict = missing > 0 ? `${count(missing)} missing` : missing < 0 ? `${count(-missing)} too many` : "out of balance";
  setText(card.querySelector(".verdict"), hop.balanced ? (hop.in ? "✓ balanced" : "idle") : verdict);
  setText(card.querySelector(".figure"), rateText(rate(`hop/${hop.hop}`, hop.in)));
  sparkline(card.querySelector(".spark"), `hop/${hop.hop}`, hop.in);
  const values = [hop.in, hop.out, hop.dropped, hop.dead];
  card.querySelectorAll(".sum > span").forEach((part, at) => {
    const [sign, name] = part._label.includes(" ") ? part._label.split(" ") : ["", part._label];
    setText(part.children[0], `${sign ? `${sign} ` : ""}${count(values[at])}`);
    setText(part.children[1], ` ${name}`);
  });
  const chips = refusals(status).filter((row) => row.hop === hop.hop);
  const delivered = Object.values(status.deliver || {}).reduce((total, sink) => total + (sink.lag || 0), 0);
  const lag = { etl: status.etl?.lag, deliver: delivered }[hop.hop] || 0;
  if (lag) chips.unshift({ key: "lag", late: `${count(lag)} behind` });
  if (hop.hop === "etl" && status.etl?.ids_forgotten) chips.push({ key: "ids", late: `${count(status.etl.ids_forgotten)} event ids forgotten` });
  reconcile(card.querySelector(".reasons"), chips.slice(0, 8), (chip) => chip.key, () => make("span"), (element, chip) => {
    setClass(element, `chip${chip.late || chip.fate === TURNED_AWAY ? " late" : chip.fate === "dropped" ? "" : " dead"}`);
    setText(element, chip.late || `${chip.reason} ${count(chip.count)}`);
  });
}

// ---------------------------------------------------------------- head, alerts, dead letters

const unbalanced = (status) => (status.balances || []).filter((balance) => !balance.balanced);

// A refused edit is told as such, with the snapshot that runs on, and not a second time as an error.
const errorsOf = (status) => (status.errors || []).filter((error) => error !== status.snapshot?.refused);

function updateHead(status) {
  const snapshot = status.snapshot || {};
  setText(byId("project"), snapshot.project || "");
  const off = unbalanced(status).length;
  const errors = errorsOf(status).length;
  const [tone, said] = off ? ["bad", off === 1 ? "Out of balance" : `${count(off)} out of balance`]
    : errors ? ["bad", errors === 1 ? "1 error" : `${errors} errors`]
    : snapshot.refused ? ["warn", "Last edit not taken"]
    : (status.balances || []).some((hop) => hop.in) ? ["good", "All balanced"] : ["good", "Ready"];
  setHealth(tone, said);
  document.title = `${tone === "good" ? "" : "● "}${snapshot.project ? `${snapshot.project} · ` : ""}Headwater`;
  const now = Date.now();
  const facts = [
    ["Snapshot", snapshot.number === undefined ? "none" : String(snapshot.number), (snapshot.hash || "").slice(0, 8)],
    ["Published", snapshot.created_time ? ageText(now - snapshot.created_time) : "–"],
    ["Runs", `${count(snapshot.rules)} ${snapshot.rules === 1 ? "rule" : "rules"}`, `${count(snapshot.event_types)} event types, ${count(snapshot.apps)} ${snapshot.apps === 1 ? "app" : "apps"}`],
    ["Delay p50", msText(status.delay_ms?.p50)],
    ["p99", msText(status.delay_ms?.p99), "from report to file"],
  ];
  reconcile(byId("facts"), facts, (fact) => fact[0], (fact) => {
    const element = make("div", "fact");
    element.append(make("span", "muted", fact[0]), make("b"), make("span", "muted"));
    return element;
  }, (element, fact) => {
    setText(element.children[1], fact[1]);
    setText(element.children[2], fact[2] || "");
  });
}

function setHealth(tone, said) {
  setClass(byId("health"), `health ${tone}`);
  setText(byId("health"), said);
}

function updateAlerts(status, lost) {
  const alerts = [];
  const { refused, warnings = [], number: running } = status?.snapshot || {};
  if (lost) alerts.push({ key: "lost", tone: "bad", title: "No answer from Headwater.", text: lost });
  const off = status ? unbalanced(status) : [];
  if (off.length) {
    const line = (b) => `${b.hop}: ${count(b.in)} in, but ${count(b.out)} out + ${count(b.dropped)} dropped + ${count(b.dead)} dead`;
    const rest = off.length > 10 ? [`and ${count(off.length - 10)} more`] : [];
    alerts.push({ key: "off", tone: "bad", title: "Something is lost or counted twice.", pre: [...off.slice(0, 10).map(line), ...rest].join("\n") });
  }
  for (const error of status ? errorsOf(status) : []) alerts.push({ key: `error ${error}`, tone: "bad", title: String(error) });
  if (refused) {
    alerts.push({ key: "refused", tone: "warn", title: `The last edit was not taken; snapshot ${running} runs on.`, pre: refused });
  }
  if (warnings.length) {
    const title = warnings.length === 1 ? "The running snapshot has a warning." : `The running snapshot has ${warnings.length} warnings.`;
    alerts.push({ key: "warnings", tone: "warn", title, pre: warnings.join("\n\n") });
  }
  reconcile(byId("alerts"), alerts, (alert) => alert.key, () => {
    const element = make("div", "alert");
    element.append(make("strong"), make("span"), make("pre"));
    return element;
  }, (element, alert) => {
    setClass(element, `alert ${alert.tone}`);
    setText(element.children[0], alert.title);
    setText(element.children[1], alert.text ? ` ${alert.text}` : "");
    setText(element.children[2], alert.pre || "");
    element.children[2].hidden = !alert.pre;
  });
}

let allLetters = false;

function makeLetters() {
  const panel = make("section", "panel wide");
  panel.id = "letters";
  const bar = make("div", "bar");
  bar.append(make("h2", "", "Latest dead letters"), make("span", "muted"));
  const more = make("button", "more");
  more.addEventListener("click", () => {
    allLetters = !allLetters;
    if (last) updateLetters(last);
  });
  panel.append(bar, make("p", "none", "There are none."), make("div", "list"), more);
  byId("tables").append(panel);
}

function updateLetters(status) {
  const panel = byId("letters");
  const letters = status.dead_letters || [];
  const dead = sum(status.collect?.dead) + (status.etl?.dead || 0) + failures(status);
  setText(panel.querySelector(".bar .muted"), letters.length ? `${letters.length} of ${count(dead)}` : "");
  panel.querySelector(".none").hidden = letters.length > 0;
  const occurrences = new Map();
  const keyed = letters.map((letter) => {
    const stem = [letter.received_time, letter.hop, letter.reason, letter.rule, letter.origin?.offset].join(" ");
    occurrences.set(stem, (occurrences.get(stem) || 0) + 1);
    return { ...letter, key: `${stem} ${occurrences.get(stem)}` };
  });
  const more = panel.querySelector(".more");
  more.hidden = letters.length <= LETTERS_SHOWN;
  setText(more, allLetters ? "Show fewer" : `Show all ${count(letters.length)}`);
  reconcile(panel.querySelector(".list"), allLetters ? keyed : keyed.slice(0, LETTERS_SHOWN), (letter) => letter.key, makeLetter, () => {});
}

function makeLetter(letter) {
  const element = make("div", "letter");
  const head = make("div", "letter-head");
  head.append(make("span", "muted", clockText(letter.received_time)), make("span", "chip dead", letter.reason || "unknown"));
  const about = [letter.event, letter.app && `app ${letter.app}`, letter.rule && `rule ${letter.rule}`, letter.column && `column ${letter.column}`];
  head.append(make("span", "", about.filter(Boolean).join(" · ")), make("span", "muted", letter.detail || ""));
  if (letter.origin) head.append(make("span", "muted minor", `${letter.origin.topic}/${letter.origin.partition}/${letter.origin.offset}`));
  element.append(head);
  const raw = letter.raw ?? (letter.raw_base64 === undefined ? undefined : `base64: ${letter.raw_base64}`);
  if (raw !== undefined) {
    const details = make("details");
    const summary = make("summary");
    summary.append(make("code", "", raw.slice(0, 300)));
    details.append(summary);
    // The whole text only where it is opened: it may be a megabyte.
    details.addEventListener("toggle", () => details.children.length < 2 && details.append(make("pre", "", raw)));
    element.append(details);
  }
  return element;
}

function updateStart(status) {
  const idle = !status.collect?.received && !status.etl?.read;
  byId("start").hidden = !idle;
  byId("tables").hidden = idle && !(status.dead_letters || []).length;
  if (idle) {
    setText(byId("curl"), `curl ${location.origin}/v1/events -u WRITE_KEY: \\\n  -d '{"event": "video_like", "user_id": "ann", "properties": {"video_id": "v1"}}'`);
  }
}

// ---------------------------------------------------------------- the loop


function show(status) {
  updateHead(status);
  updateAlerts(status, null);
  updateStart(status);
  updateHops(status);
  updateTables(status);
  updateLetters(status);
}

async function refresh() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    last = await answer.json();
    lastAt = Date.now();
    sampledAt = performance.now();
    show(last);
    setText(byId("updated"), `Updated ${clockText(lastAt)}`);
  } catch (error) {
    setHealth("wait", "No answer");
    updateAlerts(last, lastAt ? `The figures below are those of ${clockText(lastAt)}.` : `It is asked again every ${EVERY_MS / 1000} s.`);
    console.error(error);
  }
}

let timer = 0;

async function loop() {
  clearTimeout(timer);
  await refresh();
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(loop, EVERY_MS);
}

makeTables();
makeLetters();
document.addEventListener("visibilitychange", () => !document.hidden && loop());
loop();
