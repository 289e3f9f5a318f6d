// "What would this rule have matched?": asked of the stored events while the rule is written.

import { api } from "./api.js";
import { barList, columnChart } from "./chart.js";
import { byId, debounce, el } from "./dom.js";
import { count, fullTime, SEVERITIES, visible } from "./format.js";
import { momentNode } from "./moment.js";

const SETTLE_MS = 600;
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const HOUR_MS = 3_600_000;
const SHOWN_HOSTS = 8;
const SHOWN_SAMPLES = 12;
const PERIODS = [
  { hours: 1, text: "last hour" },
  { hours: 24, text: "last 24 hours" },
  { hours: 72, text: "last 3 days" },
  { hours: 720, text: "last 30 days" },
];

const events = (n) => `${count(n)} ${n === 1 ? "event" : "events"}`;

export class DryRun {
  /**
   * @param {HTMLElement} place The card that shows it.
   * @param {function(): Object} rule Gives the rule as the form has it.
   * @param {number|null} ruleId The rule that it would take the place of.
   */
  constructor(place, rule, ruleId) {
    this.place = place;
    this.rule = rule;
    this.ruleId = ruleId;
    this.request = null;
    this.asked = "";
    this.period = el("select", { class: "input", "aria-label": "Period of the dry run" }, ...PERIODS.map(({ hours, text }) => el("option", { value: hours, text })));
    this.period.value = "24";
    this.period.addEventListener("change", () => this.#run());
    this.result = el("div", { class: "dry-run-result", "aria-live": "polite" });
    place.replaceChildren(el("div", { class: "card-head" }, el("h2", { id: "dry-run-title", text: "Dry run" }), this.period), this.result);
    place.hidden = false;
    this.soon = debounce(() => this.#run(), SETTLE_MS);
  }

  /** Ask again when the rule stands still for a moment. */
  changed() {
    const { pattern, condition } = conditionsOf(this.rule());
    if (!pattern && !condition) {
      this.asked = "";
      this.#say("Give a pattern or a condition, and see here what it would have matched.");
      return;
    }
    this.place.setAttribute("aria-busy", "true");
    this.soon();
  }

  #say(text, kind = "muted") {
    this.request?.abort();
    this.result.replaceChildren(el("p", { class: kind, text }));
    this.place.setAttribute("aria-busy", "false");
  }

  async #run() {
    const to = new Date();
    const from = new Date(to.getTime() - Number(this.period.value) * HOUR_MS);
    const rule = tryable(this.rule());
    const asked = JSON.stringify([rule, this.period.value]);
    if (asked === this.asked) {
      this.place.setAttribute("aria-busy", "false");
      return;
    }
    this.asked = asked;
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    this.place.setAttribute("aria-busy", "true");
    if (this.result.childElementCount === 0) this.result.replaceChildren(el("p", { class: "muted", text: "Looking through the stored events…" }));
    try {
      const body = { rule, from: from.toISOString(), to: to.toISOString(), samples: SHOWN_SAMPLES, ...(this.ruleId === null ? {} : { rule_id: this.ruleId }) };
      const outcome = await api("/api/v2/rules/test", { method: "POST", body, signal: request.signal });
      if (request !== this.request) return;
      this.result.replaceChildren(...parts(outcome, from, to));
    } catch (error) {
      if (error.name === "AbortError" || request !== this.request) return;
      this.asked = "";
      const why = error.details?.map((detail) => detail.message).join(" ") || error.message;
      this.result.replaceChildren(el("p", { class: "field-error", text: error.status === 400 ? `Cannot be tried yet: ${why}` : why }));
    }
    this.place.setAttribute("aria-busy", "false");
  }
}

function conditionsOf(rule) {
  return { pattern: rule.match_string || rule.trap_oid, condition: rule.syslog_severity !== null || rule.host_pattern };
}

/** What has no say in what a rule matches need not be filled in yet. */
function tryable(rule) {
  const { change_reason: _, ...rest } = rule;
  return { ...rest, name: rest.name || "draft", team_assignment: rest.team_assignment || "draft", priority: Number.isInteger(rest.priority) ? rest.priority : 100, repeat_interval_s: null, destination: null, reason: null };
}

function parts(outcome, from, to) {
  const words = outcome.matched === 0 ? "Would have matched nothing" : `Would have matched ${events(outcome.matched)}`;
  const shown = [el("p", { class: "headline", text: words }), el("p", { class: "muted", text: looked(outcome) })];
  if (outcome.matched === 0) return shown;
  shown.push(...shares(outcome));
  shown.push(el("div", {}, el("h3", { text: "By hour" }), hours(outcome, from, to)));
  shown.push(el("div", {}, el("h3", { text: outcome.host_count === 1 ? "On one host" : `On ${count(outcome.host_count)} hosts` }), barList("Hosts with the most matches", outcome.hosts.slice(0, SHOWN_HOSTS).map((host) => ({ name: visible(host.hostname), value: host.count })))));
  shown.push(el("div", {}, el("h3", { text: "Newest" }), samples(outcome.samples)));
  return shown;
}

function looked(outcome) {
  const of = `of ${events(outcome.scanned)} that are stored of this time.`;
  return outcome.is_complete ? of : `${of} There was no time for those before ${fullTime(outcome.scanned_back_to)}.`;
}

/** Who decides these events now, and who would from then on. */
function shares({ newly, kept, taken_over: over, taken_first: first }) {
  const rule = ({ rule_id: id, rule_name: name }) => el("a", { href: `/rules/${id}`, text: visible(name) });
  const items = [];
  if (newly > 0) items.push(el("li", {}, el("strong", { text: count(newly) }), " that no rule decides now"));
  if (kept > 0) items.push(el("li", {}, el("strong", { text: count(kept) }), " that this rule decides already"));
  for (const each of over) items.push(el("li", {}, el("strong", { text: count(each.count) }), " taken over from ", rule(each)));
  for (const each of first) items.push(el("li", { class: "first" }, el("strong", { text: count(each.count) }), " that ", rule(each), " takes first: they would not get here"));
  return [el("ul", { class: "shares", "aria-label": "Who decides these events now" }, ...items)];
}

function hours({ hours: found }, from, to) {
  const counts = new Map(found.map(({ hour, count: n }) => [Date.parse(hour), n]));
  const first = Math.floor(from.getTime() / HOUR_MS) * HOUR_MS;
  const columns = [];
  let most = { n: -1, at: 0 };
  for (let at = first; at <= to.getTime(); at += HOUR_MS) {
    const n = counts.get(at) ?? 0;
    if (n > most.n) most = { n, at };
    columns.push({ title: `${hourName(at)}: ${events(n)}`, parts: [{ kind: "own", value: n }] });
  }
  const axis = [hourName(first), "now"];
  return columnChart(`Matches by hour, most in the hour from ${hourName(most.at)}: ${events(most.n)}`, columns, axis, "in an hour");
}

function hourName(at) {
  const moment = new Date(at);
  const clock = `${String(moment.getHours()).padStart(2, "0")}:00`;
  return Date.now() - at < 20 * HOUR_MS ? clock : `${DAYS[moment.getDay()]} ${moment.getDate()}, ${clock}`;
}

function samples(found) {
  return el(
    "ol",
    { class: "samples" },
    ...found.map((sample) =>
      el(
        "li",
        { title: visible(sample.line) },
        el("a", { href: `/live?event=${encodeURIComponent(sample.event_id)}`, target: "_blank", rel: "noopener" }, momentNode(sample.received_at)),
        " ",
        el("span", { class: `severity sev-${sample.severity}`, text: SEVERITIES[sample.severity] }),
        ` ${visible(sample.hostname)} ${visible(sample.line)}`,
      ),
    ),
  );
}

/** The card, if this page has one. */
export function makeDryRun(rule, ruleId) {
  return new DryRun(byId("dry-run"), rule, ruleId);
}
