// The alerts: what went out, what is on its way, what failed.

import { api, query } from "./api.js";
import { byId, el } from "./dom.js";
import { alertBadge, EventDetail, ruleLink } from "./event_detail.js";
import { count, handlingName, oneLine, SEVERITIES, visible } from "./format.js";
import { emptyState, List, makeTable } from "./list.js";
import { DetailOpener } from "./list_detail.js";
import { momentNode } from "./moment.js";

const REFRESH_MS = 5000;

const opener = new DetailOpener(byId("detail"), EventDetail);

function state(alert) {
  const attempts = alert.attempts === 1 ? "1 attempt" : `${alert.attempts} attempts`;
  const error = alert.last_error && alert.state !== "delivered" ? el("div", { class: "sub", text: visible(alert.last_error) }) : null;
  const held = alert.held_back ? el("div", { class: "sub", text: `${alert.held_back} more held back before it` }) : null;
  const clear = alert.is_clear ? el("div", { class: "sub", text: "clear" }) : null;
  return el("div", {}, alertBadge(alert.state), clear, el("div", { class: "sub", text: attempts }), held, error);
}

function rule(alert) {
  const link = ruleLink(alert);
  return el("div", {}, link, el("div", { class: "sub", text: `${handlingName(alert.handling)}, ${alert.environment}` }));
}

const COLUMNS = [
  { label: "Raised", class: "nowrap", cell: (alert) => opener.link(alert.event_id, momentNode(alert.created_at)) },
  { label: "State", cell: state },
  { label: "Severity", cell: (alert) => el("span", { class: `severity sev-${alert.severity}`, text: SEVERITIES[alert.severity] }) },
  { label: "Host", cell: (alert) => visible(alert.hostname) },
  { label: "Message", class: "mono", cell: (alert) => oneLine(alert.message) },
  { label: "Rule", cell: rule },
  { label: "Team", cell: (alert) => visible(alert.team ?? "") },
];

function empty(isFiltered) {
  if (isFiltered) return emptyState("No alert fits this filter", el("p", { text: "Choose another state, or leave the host empty." }));
  const text = "An alert is raised when a rule that pages or opens a ticket matches an event. Its way to the webhook, attempt by attempt, is shown here.";
  return emptyState("No alerts yet", el("p", { text }), el("a", { class: "button", href: "/rules", text: "Go to the rules" }));
}

const list = new List({
  place: byId("list"),
  form: byId("filters"),
  fetch: async (parameters) => {
    const { alerts, pagination } = await api(`/api/v2/alerts${query(parameters)}`);
    return { items: alerts, pagination };
  },
  draw: (alerts) => makeTable("Alerts, newest first", COLUMNS, alerts),
  empty,
});
list.load();

// States change while one looks; a person who reads, marks or moves about in the list is left alone.
setInterval(() => {
  const isBusy = document.hidden || opener.detail.isOpen || byId("list").contains(document.activeElement) || !getSelection().isCollapsed;
  if (!isBusy) list.load();
}, REFRESH_MS);
