// Everything about one event: what it says, what was decided, what went out, its octets.

import { api } from "./api.js";
import { el } from "./dom.js";
import { decisionOf, duration, facilityName, fullTime, handlingName, hexDump, octetsOf, visible } from "./format.js";
import { contextPart, explainPart } from "./event_story.js";
import { momentNode } from "./moment.js";
import { SidePanel } from "./side_panel.js";

const ALERT_STATES = {
  queued: { kind: "warn", text: "Queued" },
  retrying: { kind: "warn", text: "Retrying" },
  delivered: { kind: "ok", text: "Delivered" },
  dead: { kind: "bad", text: "Given up" },
  unrouted: { kind: "", text: "No webhook configured" },
};

export function alertBadge(state) {
  const { kind, text } = ALERT_STATES[state] ?? { kind: "", text: state };
  return el("span", { class: `badge ${kind}`, text });
}

export const eventPath = (eventId) => `/api/v2/events/${encodeURIComponent(eventId)}`;

/** The page that makes a rule of an event. */
export function newRulePath(event) {
  return `/rules/new?from_event=${encodeURIComponent(event.event_id)}`;
}

export class EventDetail extends SidePanel {
  /**
   * @param {HTMLElement} panel
   * @param {{onClose: function(): void, mayChange: boolean}} options
   */
  constructor(panel, { onClose, mayChange }) {
    super(panel, onClose);
    this.mayChange = mayChange;
    this.eventId = null;
    this.request = null;
    /** Opens another event out of this one; a page with an address of its own puts it there. */
    this.onOpen = (eventId) => this.open(eventId);
  }

  /**
   * Show an event.
   * @param {string} eventId
   * @param {Object|null} known What is known of it already; shown until the whole is here.
   * @param {boolean} takeFocus Whether the panel gets the focus.
   */
  async open(eventId, known = null, takeFocus = true) {
    this.eventId = eventId;
    if (known !== null) this.#show(known, null);
    else this.fill("Event", el("p", { class: "muted", text: "Loading…" }));
    this.unfold(takeFocus);
    await this.refresh(known);
  }

  /** Ask the daemon for the whole event. */
  async refresh(known = null) {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    const eventId = this.eventId;
    try {
      const event = await api(eventPath(eventId), { signal: request.signal });
      if (eventId === this.eventId && this.isOpen) this.#show({ ...event, pending: false }, event.alert ?? null);
    } catch (error) {
      if (error.name === "AbortError" || eventId !== this.eventId) return;
      // An event is live before it is stored: its decision will bring us back here.
      if (error.status === 404 && known !== null) return;
      const what = error.status === 404 ? "This event is no longer stored." : error.message;
      this.fill("Event", el("div", { class: "notice error", role: "alert" }, el("p", { text: what })));
    }
  }

  close() {
    this.request?.abort();
    this.eventId = null;
    super.close();
  }

  #show(event, alert) {
    this.fill(
      visible(event.hostname),
      this.#message(event),
      decisionPart(event),
      ...(event.explain ? [explainPart(event.explain)] : []),
      ...(alert === null ? [] : [alertPart(alert)]),
      ...(event.varbinds.length === 0 ? [] : [varbindsPart(event.varbinds)]),
      ...structuredDataParts(event.structured_data),
      contextPart(eventPath(event.event_id), (eventId) => this.onOpen(eventId)),
      factsPart(event),
      ...attributesParts(event.attributes),
      octetsPart(event),
    );
  }

  #message(event) {
    const actions = el("div", { class: "actions" });
    if (this.mayChange) actions.append(el("a", { class: "button primary", href: newRulePath(event), text: "Create rule from this event" }));
    actions.append(el("button", { class: "button", type: "button", text: "Copy as JSON", on: { click: (click) => copy(click.target, event) } }));
    return el(
      "section",
      { "aria-label": "Message" },
      el("p", {}, el("span", { class: `severity sev-${event.severity}`, text: event.severity_name }), ` at ${fullTime(event.received_at)}`),
      ...(event.malformed ? [el("div", { class: "notice warning" }, el("p", { text: `Malformed: ${visible(event.malformed)}` }))] : []),
      el("p", { class: `message sev-${event.severity}`, text: visible(event.message) || "(no text)" }),
      actions,
    );
  }
}

async function copy(button, event) {
  const { pending: _, explain: __, ...whole } = event;
  try {
    await navigator.clipboard.writeText(JSON.stringify(whole, null, 2));
    button.textContent = "Copied";
  } catch {
    // Without TLS a browser gives no clipboard.
    button.textContent = "Not allowed by the browser";
  }
}

function part(title, ...children) {
  return el("section", {}, el("h3", { text: title }), ...children);
}

/** A list of names and values; null values are left out. */
function facts(pairs) {
  const list = el("dl", { class: "facts" });
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(el("dt", { text: name }), el("dd", {}, value instanceof Node ? value : visible(String(value))));
  }
  return list;
}

function timeOf(iso) {
  return iso ? el("time", { datetime: iso, title: `${iso} (UTC)`, text: fullTime(iso) }) : null;
}

function table(label, columns, rows) {
  const head = el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col", text: column }))));
  const body = el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell)))));
  return el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": label }, el("table", { class: "table" }, head, body));
}

/** The rule that decided; muttd's own alerts have none to go to. */
export function ruleLink(decided) {
  const text = visible(decided.rule_name ?? `rule ${decided.rule_id}`);
  return decided.rule_id === 0 ? el("span", { text }) : el("a", { href: `/rules/${decided.rule_id}`, text });
}

function decisionPart(event) {
  const { kind, text } = decisionOf(event);
  if (kind === "pending") return part("Decision", el("p", { class: "decision", data: { kind }, text: "The rules have not decided yet." }));
  if (kind === "none") {
    return part("Decision", el("p", { class: "decision", data: { kind }, text: "No rule matched." }), facts([["environment", event.environment]]));
  }
  const rule = ruleLink(event);
  return part(
    "Decision",
    el("p", { class: "decision", data: { kind }, text }),
    facts([
      ["rule", rule],
      ["revision then", event.rule_revision],
      ["handling", handlingName(event.handling)],
      ["environment", event.environment],
      ["team", event.team],
      ["held back by alert", event.held_by],
    ]),
  );
}

function alertPart(alert) {
  const attempts = (alert.deliveries ?? []).map((delivery) => [
    String(delivery.attempt),
    momentNode(delivery.attempted_at),
    alertBadge(delivery.outcome),
    delivery.status === null ? "–" : String(delivery.status),
    duration(delivery.duration_s),
    visible(delivery.error ?? ""),
  ]);
  return part(
    "Alert",
    el("p", {}, alertBadge(alert.state)),
    facts([
      ["alert", alert.alert_id],
      ["signature", alert.signature],
      ["ends a problem", alert.is_clear ? "yes" : null],
      ["held back before it", alert.held_back || null],
      ["attempts", alert.attempts],
      ["held back before it", alert.held_back || null],
      ["last error", alert.last_error],
    ]),
    attempts.length === 0 ? el("p", { class: "muted", text: "Not sent yet." }) : table("Deliveries", ["#", "At", "Outcome", "Status", "Took", "Error"], attempts),
  );
}

function varbindsPart(varbinds) {
  const rows = varbinds.map((varbind) => [el("span", { title: varbind.oid, text: visible(varbind.name) }), varbind.type, visible(varbind.value)]);
  return part("Varbinds", table("Varbinds", ["Name", "Type", "Value"], rows));
}

function structuredDataParts(structuredData) {
  return Object.entries(structuredData).map(([sdId, params]) =>
    part(
      `Structured data: ${visible(sdId)}`,
      params.length === 0 ? el("p", { class: "muted", text: "No parameters." }) : facts(params.map(([name, value]) => [visible(name), value])),
    ),
  );
}

function factsPart(event) {
  return part(
    "Fields",
    facts([
      ["received", timeOf(event.received_at)],
      ["sender’s time", timeOf(event.event_time)],
      ["host", event.hostname],
      ["source", event.source_ip],
      ["transport", event.transport],
      ["severity", `${event.severity} ${event.severity_name}`],
      ["facility", facilityName(event.facility)],
      ["app", event.app_name],
      ["procid", event.procid],
      ["msgid", event.msgid],
      ["trap OID", event.trap_oid],
      ["event", event.event_id],
      ["correlation", event.correlation_id],
    ]),
  );
}

function attributesParts(attributes) {
  const pairs = Object.entries(attributes);
  if (pairs.length === 0) return [];
  return [part("Attributes", facts(pairs.map(([name, value]) => [visible(name), typeof value === "string" ? value : JSON.stringify(value)])))];
}

function octetsPart(event) {
  const octets = octetsOf(event);
  const isText = event.raw_encoding !== "base64";
  const dump = el("pre", { class: "octets", tabindex: "0", role: "region", "aria-label": "Octets as received" });
  const toggle = el("button", { class: "button small", type: "button" });
  let showsHex = !isText;
  const draw = () => {
    dump.classList.toggle("hex", showsHex);
    dump.textContent = showsHex ? hexDump(octets) : visible(event.raw);
    toggle.textContent = showsHex ? "Show as text" : "Show as hex";
  };
  toggle.addEventListener("click", () => {
    showsHex = !showsHex;
    draw();
  });
  draw();
  return part(`As received, ${octets.length} octets`, dump, ...(isText ? [el("div", { class: "actions" }, toggle)] : []));
}
