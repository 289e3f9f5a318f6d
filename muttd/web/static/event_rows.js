// The rows of the Live page: at most MAX_ROWS, newest on top, nodes used again.
//
//   add(events) --> waiting --one animation frame--> rows
//
// Order is by event_id, which sorts by time of receipt; an event that is there already is brought
// up to date instead, so filling a gap twice does no harm.

import { el } from "./dom.js";
import { decisionOf, fullTime, oneLine, shortTime } from "./format.js";

export const MAX_ROWS = 1000;
// Faster than this nobody reads; slower than this it looks stuck.
const CALM_MS = 160;
const CALM_FROM_ROWS = 12;
// Drawing takes at most one part in so many of the browser's time: on a slow machine it is drawn
// less often, and the filter still answers at once.
const DRAWING_SHARE = 3;
const LONGEST_CALM_MS = 400;

// What the App column has room for.
const MAX_OID_CHARACTERS = 15;

const COLUMNS = ["time", "severity", "host", "transport", "app", "message", "decision"];
const DECISION_FIELDS = ["matched", "rule_id", "rule_name", "rule_revision", "handling", "environment", "team", "is_clear", "held_by"];

export class EventRows {
  /**
   * @param {HTMLElement} body Where the rows go.
   * @param {function(): void} onShown Called after each change.
   */
  constructor(body, onShown) {
    this.body = body;
    this.onShown = onShown;
    this.order = [];
    this.byId = new Map();
    this.waiting = new Map();
    this.spare = [];
    this.isScheduled = false;
    this.drawnAt = 0;
    this.drawing_ms = 0;
    this.current = null;
  }

  get newestId() {
    return this.order.length === 0 ? null : this.order[0].event.event_id;
  }

  /** Take events in any order; they are drawn with the next frame. */
  add(events) {
    for (const event of events) {
      if (this.byId.has(event.event_id)) this.decide(event);
      else this.waiting.set(event.event_id, event);
    }
    // A hidden tab gets no frames; what would never be drawn is not kept for it.
    if (this.waiting.size > 2 * MAX_ROWS) {
      this.waiting = new Map([...this.waiting].sort(([a], [b]) => (a < b ? 1 : -1)).slice(0, MAX_ROWS));
    }
    this.#schedule();
  }

  /** Bring the decision of an event up to date, if it is here. Returns whether it is. */
  decide(decision) {
    const row = this.byId.get(decision.event_id);
    const event = row?.event ?? this.waiting.get(decision.event_id);
    if (event === undefined) return false;
    if (!event.pending || decision.pending) return true;
    event.pending = false;
    for (const field of DECISION_FIELDS) event[field] = decision[field];
    if (row !== undefined) drawDecision(row.node, event);
    return true;
  }

  clear() {
    this.waiting.clear();
    for (const { node } of this.order) this.spare.push(node);
    this.order = [];
    this.byId.clear();
    this.current = null;
    this.body.replaceChildren();
    this.onShown();
  }

  eventOf(node) {
    return this.byId.get(node?.dataset.id)?.event ?? null;
  }

  /** Mark a row as the one that the keyboard is on. */
  select(node) {
    if (this.current !== null) {
      this.current.removeAttribute("aria-current");
      this.current.tabIndex = -1;
    }
    this.current = node;
    if (node !== null) {
      node.setAttribute("aria-current", "true");
      node.tabIndex = 0;
    }
  }

  /** When the oldest event that still waits for its decision was received, or null. */
  oldestPendingAt() {
    for (let at = this.order.length - 1; at >= 0; at -= 1) {
      if (this.order[at].event.pending) return new Date(this.order[at].event.received_at);
    }
    return null;
  }

  #schedule() {
    if (this.isScheduled || this.waiting.size === 0) return;
    this.isScheduled = true;
    const draw = () => requestAnimationFrame(() => this.#draw());
    const calm_ms = Math.min(LONGEST_CALM_MS, Math.max(CALM_MS, this.drawing_ms * DRAWING_SHARE));
    if (this.waiting.size < CALM_FROM_ROWS && performance.now() - this.drawnAt > calm_ms) draw();
    else setTimeout(draw, calm_ms);
  }

  /** How long a frame took, with layout and paint: a timer set in it fires after them. */
  #timeFrame() {
    const began = performance.now();
    setTimeout(() => {
      this.drawing_ms = performance.now() - began;
    });
  }

  #draw() {
    this.isScheduled = false;
    this.drawnAt = performance.now();
    this.#timeFrame();
    const fresh = [...this.waiting.values()].sort((a, b) => (a.event_id < b.event_id ? 1 : -1)).slice(0, MAX_ROWS);
    this.waiting.clear();
    if (fresh.length === 0) return;
    this.#drop(this.order.length + fresh.length - MAX_ROWS);
    const newest = this.newestId;
    const onTop = fresh.filter((event) => newest === null || event.event_id > newest);
    const between = fresh.filter((event) => newest !== null && event.event_id < newest);
    const rows = onTop.map((event) => this.#row(event));
    this.body.prepend(...rows.map((row) => row.node));
    this.order.unshift(...rows);
    for (const event of between) this.#insert(event);
    this.onShown();
  }

  #drop(surplus) {
    for (; surplus > 0 && this.order.length > 0; surplus -= 1) {
      const { event, node } = this.order.pop();
      this.byId.delete(event.event_id);
      // The row that a person is on is not used again under his hands.
      if (node === this.current) this.current = null;
      if (node !== document.activeElement) this.spare.push(node);
      node.remove();
    }
  }

  #insert(event) {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.order[middle].event.event_id > event.event_id) low = middle + 1;
      else high = middle;
    }
    const row = this.#row(event);
    this.body.insertBefore(row.node, this.order[low]?.node ?? null);
    this.order.splice(low, 0, row);
  }

  #row(event) {
    const node = this.spare.pop() ?? makeRow();
    drawRow(node, event);
    const row = { event, node };
    this.byId.set(event.event_id, row);
    return row;
  }
}

function makeRow() {
  const node = el("div", { role: "row", tabindex: "-1" });
  for (const column of COLUMNS) node.append(el("span", { role: "cell", class: `c-${column}` }));
  const [time, severity, , , , , decision] = node.children;
  time.append(document.createTextNode(""), el("span", { class: "milliseconds" }));
  severity.append(el("span", { class: "severity" }));
  decision.append(el("span", { class: "decision" }));
  return node;
}

function drawRow(node, event) {
  const [time, severity, host, transport, app, message, decision] = node.children;
  const [clock, milliseconds] = shortTime(new Date(event.received_at));
  node.className = `event-row sev-${event.severity}`;
  node.dataset.id = event.event_id;
  node.removeAttribute("aria-current");
  node.tabIndex = -1;
  time.firstChild.data = clock;
  time.lastChild.textContent = milliseconds;
  time.title = `${fullTime(event.received_at)}\n${event.received_at} UTC`;
  severity.firstChild.className = `severity sev-${event.severity}`;
  severity.firstChild.textContent = event.severity_name;
  host.textContent = oneLine(event.hostname);
  host.title = event.hostname === event.source_ip ? event.hostname : `${event.hostname} (${event.source_ip})`;
  transport.textContent = event.transport;
  app.textContent = oneLine(event.app_name ?? shortOid(event.trap_oid));
  app.title = event.app_name ?? event.trap_oid ?? "";
  message.replaceChildren(...(event.malformed ? [malformedMark(event.malformed)] : []), oneLine(event.message));
  message.title = "";
  drawDecision(node, event, decision);
}

/** The end of an OID tells one from another; its beginning is the same for all. */
function shortOid(oid) {
  if (oid === null || oid.length <= MAX_OID_CHARACTERS) return oid ?? "";
  return `…${oid.slice(1 - MAX_OID_CHARACTERS)}`;
}

function malformedMark(why) {
  return el("span", { class: "malformed-mark", title: why, text: "[malformed] " });
}

function drawDecision(node, event, cell = node.lastChild) {
  const { kind, text } = decisionOf(event);
  cell.firstChild.dataset.kind = kind;
  cell.firstChild.textContent = text;
  cell.title = kind === "matched" || kind === "alerts" ? `${text}\n${event.environment}, team ${event.team}` : "";
}
