// The rules, in the order in which they are tried.

import { api, query } from "./api.js";
import { byId, el, isDialogOpen, isTyping } from "./dom.js";
import { fullTime, forwards, handlingName, ruleInWords, visible } from "./format.js";
import { emptyState, List, makeTable } from "./list.js";
import { confirm, toast } from "./shell.js";

const mayChange = ["operator", "admin"].includes(document.body.dataset.role);

function handling(value) {
  return el("span", { class: `badge ${forwards(value) ? "bad" : ""}`, text: `${forwards(value) ? "▲ " : ""}${handlingName(value)}` });
}

function matches(rule) {
  const { pattern, condition } = ruleInWords(rule);
  const words = el("div", {}, pattern || "nothing");
  return condition ? el("div", {}, words, el("div", { class: "sub", text: `and ${condition}` })) : words;
}

function name(rule) {
  const link = el("a", { class: "strong", href: `/rules/${rule.id}`, text: visible(rule.name) });
  return rule.reason ? el("div", {}, link, el("div", { class: "sub", text: visible(rule.reason) })) : link;
}

function state(rule) {
  if (!mayChange) return el("span", { class: `badge ${rule.is_active ? "ok" : ""}`, text: rule.is_active ? "Active" : "Off" });
  const box = el("input", { type: "checkbox", role: "switch", "aria-label": `Active: ${rule.name}`, on: { change: () => toggle(rule, box) } });
  box.checked = rule.is_active;
  return el("span", { class: "switch" }, box, el("span", { "aria-hidden": "true" }));
}

async function toggle(rule, box) {
  box.disabled = true;
  try {
    await api(`/api/v2/rules/${rule.id}`, { method: "PUT", body: { is_active: box.checked } });
    toast(box.checked ? `“${rule.name}” is active.` : `“${rule.name}” is switched off.`);
  } catch (error) {
    toast(`“${rule.name}” was not changed: ${error.message}`, "error");
  }
  await list.load();
  document.querySelector(`input[aria-label="${CSS.escape(`Active: ${rule.name}`)}"]`)?.focus();
}

async function remove(rule) {
  const agreed = await confirm({
    title: "Delete this rule?",
    text: `“${visible(rule.name)}” stops matching at once. What it has matched stays in the audit.`,
    action: "Delete rule",
  });
  if (!agreed) return;
  try {
    await api(`/api/v2/rules/${rule.id}`, { method: "DELETE" });
    toast(`“${rule.name}” is deleted.`);
  } catch (error) {
    toast(`“${rule.name}” was not deleted: ${error.message}`, "error");
  }
  await list.load();
}

function actions(rule) {
  const what = visible(rule.name);
  return el(
    "div",
    { class: "row-actions" },
    el("a", { class: "button small", href: `/rules/${rule.id}`, text: mayChange ? "Edit" : "Show", "aria-label": `${mayChange ? "Edit" : "Show"} ${what}` }),
    mayChange ? el("button", { class: "button small", type: "button", text: "Delete", "aria-label": `Delete ${what}`, on: { click: () => remove(rule) } }) : null,
  );
}

const COLUMNS = [
  { label: "Priority", class: "number", cell: (rule) => String(rule.priority) },
  { label: "Name", cell: name },
  { label: "Matches when", cell: matches },
  { label: "Production", cell: (rule) => handling(rule.prod_handling) },
  { label: "Development", cell: (rule) => handling(rule.dev_handling) },
  { label: "Team", cell: (rule) => visible(rule.team_assignment) },
  { label: "Active", cell: state },
  { label: "Revision", class: "number", cell: (rule) => el("span", { title: `changed ${fullTime(rule.updated_at)}`, text: String(rule.revision) }) },
  { label: "Actions", isLabelHidden: true, cell: actions },
];

function empty(isFiltered) {
  if (isFiltered) return emptyState("No rule matches this search", el("p", { text: "Try fewer words. The search looks at names, texts, OIDs, teams and reasons." }));
  const text = "A rule says which events matter and what happens then: page, ticket, log or ignore. Start from an event on the Live page, or write one from scratch.";
  const start = el("div", { class: "actions" }, el("a", { class: "button", href: "/live", text: "Go to the live events" }));
  if (mayChange) start.append(el("a", { class: "button primary", href: "/rules/new", text: "New rule" }));
  return emptyState("No rules yet", el("p", { text }), start);
}

const list = new List({
  place: byId("list"),
  form: byId("filters"),
  fetch: async (parameters) => {
    const { rules, pagination } = await api(`/api/v2/rules${query(parameters)}`);
    return { items: rules, pagination };
  },
  draw: (rules) => makeTable("Rules in the order in which they are tried", COLUMNS, rules, (rule) => (rule.is_active ? "" : "off")),
  empty,
});
list.load();

document.addEventListener("keydown", (event) => {
  if (event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || isDialogOpen()) return;
  if (mayChange) location.assign("/rules/new");
});
