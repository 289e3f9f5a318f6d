// Why an event was decided so, and what its host said before and after it.

import { api } from "./api.js";
import { el } from "./dom.js";
import { count, oneLine, visible } from "./format.js";
import { momentNode } from "./moment.js";

const FOUND = { line: "in the line", message: "in the message", msgid: "in the msgid", trap_oid: "in the trap OID" };

const ruleLink = (id, name) => el("a", { href: `/rules/${id}`, text: visible(name) });

function thenLine(then) {
  if (then === null) return el("p", { text: "No rule matched it when it came." });
  const now = then.present_revision === null ? "; the rule was deleted since" : then.present_revision === then.rule_revision ? "" : `; the rule is at revision ${then.present_revision} now`;
  const text = `It was decided by revision ${then.rule_revision}${now}.`;
  return el("p", {}, text, then.matches === false ? " Asked again, that revision does not match it: hosts or teams were others then." : "");
}

function triedItem(tried) {
  const isWinner = tried.verdict === "wins";
  const where = tried.found.map((place) => FOUND[place] ?? place).join(", ");
  const kind = isWinner ? "yes" : tried.verdict.startsWith("matches") ? "later" : "no";
  const verdict = isWinner ? "wins" : tried.verdict;
  return el(
    "li",
    { data: { kind } },
    el("span", { class: "number muted", title: "priority", text: String(tried.priority) }),
    el("span", {}, ruleLink(tried.rule_id, tried.rule_name), tried.ends_problem ? el("span", { class: "muted", text: " (end of its problem)" }) : null),
    el("span", { class: "verdict", text: `${isWinner ? "✓ " : kind === "no" ? "✗ " : "· "}${verdict}${where && kind !== "no" ? `, found ${where}` : ""}` }),
  );
}

function nowPart(now) {
  if (now === null) return el("p", { class: "muted", text: "The rules were not read yet." });
  const rules = now.rule_count === 1 ? "1 rule" : `${count(now.rule_count)} rules`;
  if (now.tried.length === 0) return el("p", { class: "muted", text: `Of ${rules} in force none comes near: their patterns are nowhere in this event.` });
  return el(
    "div",
    {},
    el("p", { class: "muted", text: `Of ${rules} in force now these come near, in their order${now.is_whole ? "" : ` (the first ${now.tried.length})`}:` }),
    el("ol", { class: "tried", "aria-label": "Rules that come near, in their order" }, ...now.tried.map(triedItem)),
  );
}

/** Which rules were tried, which matched, why the winner won. */
export function explainPart(explain) {
  return el("section", {}, el("h3", { text: "Why" }), thenLine(explain.then), nowPart(explain.now));
}

function nearItem(event, onOpen, isThis = false) {
  const content = [momentNode(event.received_at), el("span", { class: `severity sev-${event.severity}`, text: event.severity_name }), el("span", { class: "near-text", text: oneLine(event.message) })];
  if (isThis) return el("li", { "aria-current": "true" }, el("span", { class: "near" }, ...content));
  return el("li", {}, el("button", { class: "near", type: "button", title: visible(event.message), on: { click: () => onOpen(event.event_id) } }, ...content));
}

/**
 * What its host said before and after: asked for when it is unfolded.
 * @param {string} path Of the event in the API.
 * @param {function(string): void} onOpen Opens one of them.
 */
export function contextPart(path, onOpen) {
  const place = el("div", { "aria-live": "polite" });
  const more = el("details", { class: "more" }, el("summary", { text: "Before and after, on this host" }), place);
  const load = async () => {
    try {
      const { event, before, after } = await api(`${path}/context`);
      const byTime = [...before, ...after].sort((a, b) => (a.event_id < b.event_id ? 1 : -1));
      const older = byTime.filter((each) => each.event_id < event.event_id);
      const newer = byTime.filter((each) => each.event_id > event.event_id);
      place.replaceChildren(el("ol", { class: "near-list", "aria-label": "Events of this host, newest first" }, ...newer.map((each) => nearItem(each, onOpen)), nearItem(event, onOpen, true), ...older.map((each) => nearItem(each, onOpen))));
    } catch (error) {
      place.replaceChildren(el("p", { class: "field-error", text: error.message }));
    }
  };
  more.addEventListener("toggle", () => {
    if (more.open) load();
  });
  return el("section", {}, more);
}
