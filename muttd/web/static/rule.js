// Create, change or delete one rule.

import { api } from "./api.js";
import { byId, el } from "./dom.js";
import { makeDryRun } from "./dry_run.js";
import { eventPath } from "./event_detail.js";
import { visible } from "./format.js";
import { showRevisions } from "./revisions.js";
import { clearErrors, draftFor, fillForm, markFound, readForm, sentenceFor, showErrors, tryOn } from "./rule_form.js";
import { confirm, toast, toastAfterLoad } from "./shell.js";

const form = byId("rule-form");
const ruleId = form.dataset.ruleId;
const mayChange = ["operator", "admin"].includes(document.body.dataset.role);
// What /rules/new takes from its address, besides from_event.
const PREFILLS = ["name", "match_type", "match_string", "trap_oid", "host_pattern", "team_assignment", "reason"];

let sample = null;
let saved = "";
// The revision that this form was filled from: the daemon refuses to write over a later one.
let revision = null;

const dryRun = makeDryRun(() => readForm(form), ruleId === "" ? null : Number(ruleId));

function notice(text, kind, ...children) {
  const place = byId("form-notice");
  place.className = `notice ${kind}`;
  place.replaceChildren(el("p", { text }), ...children);
  place.hidden = false;
}

function isChanged() {
  return JSON.stringify(readForm(form)) !== saved;
}

function redraw() {
  const rule = readForm(form);
  const isOidOnly = rule.match_type === "oid_prefix";
  form.elements.match_string.closest(".field").hidden = isOidOnly && !rule.match_string;
  byId("sentence").textContent = sentenceFor(rule);
  dryRun.changed();
  if (sample === null) return;
  const { verdict, text, found } = tryOn(rule, sample);
  const place = byId("sample-verdict");
  place.dataset.verdict = verdict;
  if (place.textContent !== text) place.textContent = text;
  markFound(byId("sample-message"), sample.message, found);
}

async function save(event) {
  event.preventDefault();
  clearErrors(form);
  byId("form-notice").hidden = true;
  const button = byId("save");
  button.disabled = true;
  const rule = readForm(form);
  try {
    if (ruleId === "") await api("/api/v2/rules", { method: "POST", body: rule });
    else await api(`/api/v2/rules/${ruleId}`, { method: "PUT", body: { ...rule, revision } });
    saved = JSON.stringify(rule);
    toastAfterLoad(ruleId === "" ? `“${rule.name}” is created, and in force within a second.` : `“${rule.name}” is saved, and in force within a second.`);
    location.assign("/rules");
  } catch (error) {
    button.disabled = false;
    if (error.status === 409) {
      const text = `${error.message} Someone else saved this rule while you had it open.`;
      notice(text, "error", el("button", { class: "button", type: "button", text: "Load it anew", on: { click: reload } }));
      byId("form-notice").focus();
      return;
    }
    const homeless = showErrors(form, error.details ?? []);
    const isAtFields = error.details?.length > 0 && homeless.length === 0;
    if (isAtFields) notice("Not saved. The fields in question are marked.", "error");
    else notice([error.message, ...homeless.map((detail) => `${detail.field}: ${detail.message}`)].join(" "), "error");
    if (!isAtFields) byId("form-notice").focus();
  }
}

function reload() {
  saved = JSON.stringify(readForm(form));
  location.reload();
}

async function remove() {
  const name = form.elements.name.value;
  const agreed = await confirm({
    title: "Delete this rule?",
    text: `“${visible(name)}” stops matching at once. What it has matched stays in the audit.`,
    action: "Delete rule",
  });
  if (!agreed) return;
  try {
    await api(`/api/v2/rules/${ruleId}`, { method: "DELETE" });
    saved = JSON.stringify(readForm(form));
    toastAfterLoad(`“${name}” is deleted.`);
    location.assign("/rules");
  } catch (error) {
    toast(`“${name}” was not deleted: ${error.message}`, "error");
  }
}

async function loadRule() {
  const rule = await api(`/api/v2/rules/${ruleId}`);
  fillForm(form, rule);
  revision = rule.revision;
  byId("title").textContent = visible(rule.name);
  document.title = `${rule.name} · muttd`;
}

async function loadSample(eventId) {
  sample = await api(eventPath(eventId));
  fillForm(form, draftFor(sample));
  byId("sample").hidden = false;
}

async function loadTeams() {
  try {
    const { rules } = await api("/api/v2/rules?limit=200");
    const teams = [...new Set(rules.map((rule) => rule.team_assignment))].sort();
    byId("teams").replaceChildren(...teams.map((team) => el("option", { value: team })));
  } catch {
    // Suggestions only; the field works without them.
  }
}

async function start() {
  const address = new URLSearchParams(location.search);
  form.elements.dev_handling.value = "Log_only";
  form.elements.prod_handling.value = "Ticket_only";
  try {
    if (ruleId !== "") await loadRule();
    else if (address.get("from_event")) await loadSample(address.get("from_event"));
  } catch (error) {
    if (ruleId !== "") {
      form.hidden = true;
      notice(error.status === 404 ? "There is no such rule. It may have been deleted." : error.message, "error", el("a", { class: "button", href: "/rules", text: "Back to the rules" }));
      return;
    }
    notice(`The event could not be read: ${error.message}`, "warning");
  }
  fillForm(form, Object.fromEntries(PREFILLS.filter((name) => address.has(name)).map((name) => [name, address.get(name)])));
  saved = JSON.stringify(readForm(form));
  form.setAttribute("aria-busy", "false");
  redraw();
  if (mayChange && ruleId === "") form.elements.name.focus();
}

form.addEventListener("input", redraw);
if (mayChange) {
  form.addEventListener("submit", save);
  byId("delete")?.addEventListener("click", remove);
  window.addEventListener("beforeunload", (event) => {
    if (isChanged()) event.preventDefault();
  });
} else form.addEventListener("submit", (event) => event.preventDefault());
start();
loadTeams();
if (ruleId !== "") showRevisions(ruleId, mayChange);
