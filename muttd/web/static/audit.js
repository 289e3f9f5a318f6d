// The audit: every event that a rule matched.

import { api, query } from "./api.js";
import { byId, el, setOptions } from "./dom.js";
import { EventDetail } from "./event_detail.js";
import { decisionOf, inUtc, oneLine, visible } from "./format.js";
import { emptyState, List, makeTable } from "./list.js";
import { DetailOpener } from "./list_detail.js";
import { momentNode } from "./moment.js";

const opener = new DetailOpener(byId("detail"), EventDetail);

function decision(event) {
  const { kind, text } = decisionOf(event);
  const badge = el("span", { class: "decision", data: { kind }, text });
  return el("div", {}, badge, el("div", { class: "sub", text: `revision ${event.rule_revision}, ${event.environment}` }));
}

const COLUMNS = [
  { label: "Received", class: "nowrap", cell: (event) => opener.link(event.event_id, momentNode(event.received_at)) },
  { label: "Severity", cell: (event) => el("span", { class: `severity sev-${event.severity}`, text: event.severity_name }) },
  { label: "Host", cell: (event) => visible(event.hostname) },
  { label: "Message", class: "mono", cell: (event) => oneLine(event.message) },
  { label: "Decision", cell: decision },
  { label: "Team", cell: (event) => visible(event.team ?? "") },
];

function empty(isFiltered) {
  if (isFiltered) return emptyState("No matched event fits this filter", el("p", { text: "Widen the time, or leave the host empty." }));
  const text = "Here is written down every event that a rule matches: which rule, in which revision, and what was to be done.";
  return emptyState("Nothing matched yet", el("p", { text }), el("a", { class: "button", href: "/rules", text: "Go to the rules" }));
}

const form = byId("filters");
const list = new List({
  place: byId("list"),
  form,
  fetch: async (parameters) => {
    const { logs, pagination } = await api(`/api/v2/audit-logs${query(inUtc(parameters))}`);
    return { items: logs, pagination };
  },
  draw: (logs) => makeTable("Matched events, newest first", COLUMNS, logs),
  empty,
});

async function loadRules() {
  try {
    const { rules } = await api("/api/v2/rules?limit=200");
    setOptions(form.elements.rule_id, rules.map((rule) => ({ value: String(rule.id), label: rule.name })));
  } catch {
    // The list says what is wrong; this is only a menu.
  }
}

// The menu first: what the address asks for must be in it before the list reads the form.
loadRules().then(() => list.load());
