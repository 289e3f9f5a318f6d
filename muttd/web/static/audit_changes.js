// Who changed what, when and why: the configuration's own history.

import { api, query } from "./api.js";
import { byId, el } from "./dom.js";
import { differences, diffList } from "./diff.js";
import { count, inUtc, visible } from "./format.js";
import { emptyState, List, makeTable } from "./list.js";
import { momentNode } from "./moment.js";

const TABLES = {
  alert_rules: { one: "Rule", path: (change) => (change.operation === "DELETE" ? null : `/rules/${change.record_id}`) },
  development_hosts: { one: "Development host", path: () => "/hosts" },
  expected_sources: { one: "Expected source", path: () => "/hosts" },
  device_teams: { one: "Team of a device", path: () => "/hosts" },
  expected_sources: { one: "Expected device", path: () => "/hosts" },
  dynamic_config: { one: "Setting", path: () => "/config" },
  api_keys: { one: "API key", path: () => "/system/keys" },
  mibs: { one: "MIB", path: () => "/system/mibs" },
  trap_severities: { one: "Severity of a trap", path: () => "/system/mibs" },
  dead_letters: { one: "Dead letter", path: () => "/dead-letters" },
};
const OPERATIONS = { CREATE: { kind: "ok", text: "+ Created" }, UPDATE: { kind: "", text: "± Changed" }, DELETE: { kind: "bad", text: "− Deleted" } };

function operation(change) {
  const { kind, text } = OPERATIONS[change.operation] ?? { kind: "", text: change.operation };
  return el("span", { class: `badge ${kind}`, text });
}

function what(change) {
  const table = TABLES[change.table_name];
  const name = (change.new_value ?? change.old_value)?.name ?? change.record_id;
  const path = table?.path(change) ?? null;
  const title = path === null ? el("span", { class: "strong", text: visible(String(name)) }) : el("a", { class: "strong", href: path, text: visible(String(name)) });
  return el("div", {}, title, el("div", { class: "sub", text: table?.one ?? change.table_name }));
}

function fields(change) {
  const found = differences(change.old_value, change.new_value);
  const diff = diffList(change.old_value, change.new_value);
  if (change.operation === "UPDATE") return diff;
  // A whole record is long, and rarely what somebody looks for.
  const summary = `${count(found.length)} ${found.length === 1 ? "field" : "fields"}`;
  return el("details", { class: "more" }, el("summary", { text: summary }), diff);
}

function why(change) {
  const reason = change.reason ? visible(change.reason) : el("span", { class: "muted", text: "no reason given" });
  return el("div", {}, reason, change.correlation_id ? el("div", { class: "sub mono", text: visible(change.correlation_id) }) : null);
}

const COLUMNS = [
  { label: "When", class: "nowrap", cell: (change) => momentNode(change.changed_at) },
  { label: "Who", cell: (change) => visible(change.changed_by) },
  { label: "Operation", cell: operation },
  { label: "What", cell: what },
  { label: "Before and after", class: "diff-cell", cell: fields },
  { label: "Why", cell: why },
];

function empty(isFiltered) {
  if (isFiltered) return emptyState("No change fits this filter", el("p", { text: "Widen the time, or choose another kind of record." }));
  const text = "Every change of a rule, a host, a team, a setting or a key is written down here: who made it, when, why, and what stood there before.";
  return emptyState("Nothing was changed yet", el("p", { text }));
}

new List({
  place: byId("list"),
  form: byId("filters"),
  fetch: async (parameters) => {
    const { changes, pagination } = await api(`/api/v2/config-audit${query(inUtc(parameters))}`);
    return { items: changes, pagination };
  },
  draw: (changes) => makeTable("Configuration changes, newest first", COLUMNS, changes),
  empty,
}).load();
