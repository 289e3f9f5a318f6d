// Values as people read them. Times are shown in the viewer's zone; UTC is in the title.

export const SEVERITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const FACILITIES = [
  "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
  "ntp", "audit", "console", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

const HANDLINGS = {
  Page_and_ticket: "Page and ticket",
  Page_only: "Page only",
  Ticket_only: "Ticket only",
  Email_only: "Email only",
  Log_only: "Log only",
  Suppress: "Suppress",
  Ignore: "Ignore",
};
const FORWARDING = new Set(["Page_and_ticket", "Page_only", "Ticket_only"]);

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

export const facilityName = (n) => (n === null || n === undefined ? "none" : `${n} ${FACILITIES[n] ?? ""}`.trim());
export const handlingName = (handling) => HANDLINGS[handling] ?? handling ?? "";
export const forwards = (handling) => FORWARDING.has(handling);

const wholeNumber = new Intl.NumberFormat();
export const count = (n) => (n === null || n === undefined ? "–" : wholeNumber.format(n));
export const rate = (n) => (n === null || n === undefined ? "–" : n >= 100 ? wholeNumber.format(Math.round(n)) : n.toFixed(1));

/** 14:03:07.512 today, "Nov 22 14:03" on other days: hand-made, because Intl costs 20 us a row. */
export function shortTime(moment, today = new Date()) {
  const clock = `${two(moment.getHours())}:${two(moment.getMinutes())}`;
  if (moment.toDateString() !== today.toDateString()) return [`${MONTHS[moment.getMonth()]} ${two(moment.getDate())} ${clock}`, ""];
  return [`${clock}:${two(moment.getSeconds())}`, `.${String(moment.getMilliseconds()).padStart(3, "0")}`];
}

export function fullTime(iso) {
  const moment = new Date(iso);
  const date = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  const clock = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
  return `${date} ${clock}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}

/** A list's filter as the API takes it: a date field holds the viewer's time, the API is asked in UTC. */
export function inUtc({ start_date: start, end_date: end, ...rest }) {
  return { ...rest, start_date: start ? new Date(start).toISOString() : "", end_date: end ? new Date(end).toISOString() : "" };
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  const both = (large, small) => (small.startsWith("0 ") ? large : `${large} ${small}`);
  if (minutes < 60) return both(`${minutes} min`, `${Math.floor(seconds % 60)} s`);
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return both(`${hours} h`, `${minutes % 60} min`);
  return both(`${Math.floor(hours / 24)} d`, `${hours % 24} h`);
}

// Control characters could hide text, bidirectional ones could turn it round: both are shown.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const show = (character) => {
  const code = character.codePointAt(0);
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
};

/** The text with everything visible that a terminal or a browser would obey. */
export const visible = (text) => text.replace(UNSEEN, show);

/** The same on one line, cut to what a row can show. */
export const oneLine = (text) => visible(text.length > 600 ? `${text.slice(0, 600)}…` : text).replaceAll("\n", "⏎").replaceAll("\t", " ");

/** 00000000  3c 31 33 3e ...  |<13>...| */
export function hexDump(octets, limit = 4096) {
  const lines = [];
  for (let at = 0; at < Math.min(octets.length, limit); at += 16) {
    const part = octets.slice(at, Math.min(at + 16, limit));
    const hex = Array.from(part, (octet) => octet.toString(16).padStart(2, "0"));
    const text = Array.from(part, (octet) => (octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : ".")).join("");
    const columns = `${hex.slice(0, 8).join(" ").padEnd(23)}  ${hex.slice(8).join(" ").padEnd(23)}`;
    lines.push(`${at.toString(16).padStart(8, "0")}  ${columns}  |${text}|`);
  }
  if (octets.length > limit) lines.push(`… ${octets.length - limit} more octets`);
  return lines.join("\n");
}

export function octetsOf(event) {
  if (event.raw_encoding !== "base64") return new TextEncoder().encode(event.raw);
  return Uint8Array.from(atob(event.raw), (character) => character.charCodeAt(0));
}

/** What a decided event's badge says: {kind, text}. */
export function decisionOf(event) {
  if (event.pending) return { kind: "pending", text: "deciding…" };
  if (!event.matched) return { kind: "none", text: "no rule" };
  const kind = forwards(event.handling) && !event.held_by ? "alerts" : "matched";
  const end = event.is_clear ? " · clear" : event.held_by ? " · held back" : "";
  return { kind, text: `${event.rule_name ?? `rule ${event.rule_id}`} · ${handlingName(event.handling)}${end}` };
}

/** What a rule matches, in words. */
export function ruleInWords(rule) {
  const text = rule.match_string;
  const patterns = [];
  if (text && rule.match_type === "contains") patterns.push(`message contains “${visible(text)}”`);
  if (text && rule.match_type === "regex") patterns.push(`message matches /${visible(text)}/`);
  const oid = rule.trap_oid || (rule.match_type === "oid_prefix" ? text : null);
  if (oid) patterns.push(`trap ${visible(oid)} or below`);
  const conditions = [];
  const severity = rule.syslog_severity;
  if (severity !== null && severity !== undefined && severity !== "") {
    conditions.push(rule.severity_op === "eq" ? `severity is ${SEVERITIES[severity]}` : `severity is ${SEVERITIES[severity]} or worse`);
  }
  if (rule.host_pattern) conditions.push(`host is ${visible(rule.host_pattern)}`);
  return { pattern: patterns.join(" or "), condition: conditions.join(" and ") };
}
