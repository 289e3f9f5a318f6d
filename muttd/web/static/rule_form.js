// The fields of a rule: form <-> JSON, errors at their fields, and the rule tried on one event.

import { ruleInWords, visible } from "./format.js";

const TEXTS = ["name", "match_type", "match_string", "trap_oid", "severity_op", "host_pattern", "prod_handling", "dev_handling", "team_assignment", "clear_match", "destination", "reason"];
const NULLABLE = new Set(["match_string", "trap_oid", "host_pattern", "clear_match", "destination", "reason"]);

/** What the form holds, as the API takes it. */
export function readForm(form) {
  const rule = {};
  for (const name of TEXTS) {
    // A text to look for may begin or end with a blank; nothing else may.
    const value = name === "match_string" || name === "clear_match" ? form.elements[name].value : form.elements[name].value.trim();
    rule[name] = value === "" && NULLABLE.has(name) ? null : value;
  }
  const severity = form.elements.syslog_severity.value;
  rule.syslog_severity = severity === "" ? null : Number(severity);
  const priority = form.elements.priority.value.trim();
  // What is no number goes as it is: the daemon says what is wrong with it.
  rule.priority = /^-?\d+$/.test(priority) ? Number(priority) : priority;
  const repeat = form.elements.repeat_interval_s.value.trim();
  rule.repeat_interval_s = repeat === "" ? null : Number.isFinite(Number(repeat)) ? Number(repeat) : repeat;
  rule.is_active = form.elements.is_active.checked;
  const changeReason = form.elements.change_reason.value.trim();
  if (changeReason !== "") rule.change_reason = changeReason;
  return rule;
}

/** Put a rule's values into the form; missing ones stay as they are. */
export function fillForm(form, rule) {
  for (const name of [...TEXTS, "priority", "repeat_interval_s"]) if (name in rule) form.elements[name].value = rule[name] ?? "";
  if ("syslog_severity" in rule) form.elements.syslog_severity.value = rule.syslog_severity ?? "";
  if ("is_active" in rule) form.elements.is_active.checked = rule.is_active;
}

export function clearErrors(form) {
  for (const field of form.querySelectorAll(".field.invalid")) {
    field.classList.remove("invalid");
    field.querySelector(".input, input")?.removeAttribute("aria-invalid");
    field.querySelector(".field-error").hidden = true;
  }
}

/**
 * Put each error at its field and the focus on the first one.
 * @returns {{field: string, message: string}[]} Those that have no field here.
 */
export function showErrors(form, details) {
  const homeless = [];
  for (const detail of details) {
    const field = form.querySelector(`.field[data-field="${CSS.escape(detail.field)}"]`);
    if (field === null) {
      homeless.push(detail);
      continue;
    }
    const place = field.querySelector(".field-error");
    place.textContent = place.hidden ? detail.message : `${place.textContent} ${detail.message}`;
    place.hidden = false;
    field.classList.add("invalid");
    field.querySelector(".input, input")?.setAttribute("aria-invalid", "true");
  }
  form.querySelector('[aria-invalid="true"]')?.focus();
  return homeless;
}

/** "Matches when message contains “x” and severity is err or worse." */
export function sentenceFor(rule) {
  const { pattern, condition } = ruleInWords(rule);
  if (pattern === "" && condition === "") return "Give a pattern or a condition.";
  if (pattern === "") return `Matches every event whose ${condition.replace(" and host is", " and whose host is")}.`;
  return `Matches when ${pattern}${condition ? `, and only if ${condition}` : ""}.`;
}

const arcs = (oid) => oid.trim().replace(/^\./, "").replace(/\.\*$/, "").split(".");

function oidMatches(prefix, oid) {
  if (!oid) return false;
  const wanted = arcs(prefix);
  const given = arcs(oid);
  return wanted.length <= given.length && wanted.every((arc, at) => arc === given[at]);
}

function hostMatches(pattern, event) {
  // Networks are left to the daemon: null says that this page cannot tell.
  if (pattern.includes("/")) return null;
  const expression = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${expression}$`, "is").test(event.hostname);
}

// What text rules look at: the line with its header, and the message identifier.
function textsOf(event) {
  const header = event.app_name ? `${event.app_name}${event.procid ? `[${event.procid}]` : ""}: ` : "";
  return [header + event.message, event.msgid ?? ""];
}

/**
 * Try a rule on the event it was made from.
 * @returns {{verdict: "yes"|"no"|"unknown", text: string, found: [number, number]|null}}
 */
export function tryOn(rule, event) {
  const message = event.message;
  const oid = rule.trap_oid ?? (rule.match_type === "oid_prefix" ? rule.match_string : null);
  const text = rule.match_type === "oid_prefix" ? null : rule.match_string;
  const severity = rule.syslog_severity;
  const host = rule.host_pattern === null ? true : hostMatches(rule.host_pattern, event);
  const wanted = text !== null && rule.match_type === "contains" ? text.toLowerCase() : null;
  const at = wanted === null ? -1 : message.toLowerCase().indexOf(wanted);
  const found = at === -1 ? null : [at, at + text.length];
  const hasText = wanted !== null && textsOf(event).some((each) => each.toLowerCase().includes(wanted));
  const hasOid = oid !== null && oidMatches(oid, event.trap_oid);
  if (severity !== null && !(rule.severity_op === "eq" ? event.severity === severity : event.severity <= severity)) {
    return { verdict: "no", text: `Would not match: this event’s severity is ${event.severity_name}.`, found };
  }
  if (host === false) return { verdict: "no", text: `Would not match: this event’s host is ${visible(event.hostname)}.`, found };
  const hasPattern = text !== null || oid !== null;
  if (!hasPattern && severity === null && rule.host_pattern === null) return { verdict: "unknown", text: "", found };
  if (hasPattern && !hasText && !hasOid) {
    if (text !== null && rule.match_type === "regex") return { verdict: "unknown", text: "The daemon checks the expression when you save.", found };
    return { verdict: "no", text: "Would not match: neither pattern is in this event.", found };
  }
  if (host === null) return { verdict: "unknown", text: "Matches if the event’s address is in that network.", found };
  return { verdict: "yes", text: "Would match this event.", found };
}

/** Show the message with the part that matched marked. */
export function markFound(place, message, found) {
  if (found === null) {
    place.textContent = visible(message);
    return;
  }
  const mark = document.createElement("mark");
  mark.textContent = visible(message.slice(...found));
  place.replaceChildren(visible(message.slice(0, found[0])), mark, visible(message.slice(found[1])));
}

/** What a rule for this event would say: the part of it that stays the same next time. */
export function draftFor(event) {
  const draft = { reason: `Made from an event of ${event.hostname}, ${event.received_at}.` };
  if (event.trap_oid) {
    const title = event.message.split(" ", 1)[0];
    return { ...draft, name: title || event.trap_oid, match_type: "oid_prefix", match_string: null, trap_oid: event.trap_oid };
  }
  const text = lastingPart(event.message);
  return { ...draft, name: text.trim().slice(0, 80), match_type: "contains", match_string: text };
}

function lastingPart(message) {
  // The mnemonic of Cisco and its kin names the kind of message better than any words.
  const mnemonic = /(?:^|[\s%])([A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)*-[0-7]-[A-Z0-9_]+)/.exec(message);
  if (mnemonic !== null) return mnemonic[1];
  // Numbers, addresses and names with numbers in them change; the longest run of plain words stays.
  const runs = message.split(/\S*[\d"'\u0000-\u001f]\S*/).map((run) => run.trim());
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), "");
  return (longest.length >= 6 ? longest : message.trim()).slice(0, 200);
}
