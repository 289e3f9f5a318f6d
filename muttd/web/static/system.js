// The status document as a page: rates, losses, queues, listeners, forwarder, dependencies.

import { api } from "./api.js";
import { byId, el } from "./dom.js";
import { count, duration, fullTime, rate, visible } from "./format.js";
import { failure, makeTable } from "./list.js";
import { watchStatus } from "./shell.js";

const LISTENER_NAMES = { syslog_udp: "Syslog UDP", syslog_tcp: "Syslog TCP", syslog_tls: "Syslog TLS", snmp: "SNMP traps", http: "HTTP" };
const FORWARDER_STATES = {
  idle: { kind: "", text: "Idle: nothing to send" },
  delivering: { kind: "", text: "Delivering" },
  retrying: { kind: "warn", text: "Retrying: the webhook does not take alerts now; they wait" },
  held: { kind: "bad", text: "Held: the webhook refuses the key; alerts wait" },
  open: { kind: "bad", text: "Waiting: it failed too often; alerts wait" },
  unrouted: { kind: "", text: "No webhook configured: alerts are shown and not sent" },
};

function tile(name, value, note = "", kind = "") {
  return el("div", { class: `card tile ${kind}` }, el("p", { class: "tile-name", text: name }), el("p", { class: "tile-value", text: value }), note ? el("p", { class: "tile-note", text: note }) : null);
}

function section(title, ...children) {
  return el("section", {}, el("h2", { text: title }), ...children);
}

// A loss is red only when there is one; the word LOST in the title tells it without colour.
function loss(listener, name) {
  const lost = listener[name] ?? 0;
  return lost === 0 ? "0" : el("strong", { class: "badge bad", text: `▲ ${count(lost)}` });
}

const number = (label, name) => ({ label, class: "number", cell: (listener) => count(listener[name] ?? 0) });
const LISTENER_COLUMNS = [
  { label: "Listener", cell: (listener) => LISTENER_NAMES[listener.name] ?? listener.name },
  { label: "Address", class: "mono nowrap", cell: (listener) => listener.address },
  number("Received", "received"),
  number("Queued", "queued"),
  number("Malformed", "malformed"),
  number("Refused", "refused"),
  { label: "Dropped", class: "number", cell: (listener) => loss(listener, "dropped") },
  { label: "Kernel drops", class: "number", cell: (listener) => loss(listener, "kernel_dropped") },
  { label: "Connections", class: "number", cell: (listener) => (listener.connections === null || listener.connections === undefined ? "–" : count(listener.connections)) },
];

// What answers is a word; what does not is a sentence of its own.
function partsLine(dependencies) {
  const items = Object.entries(dependencies).map(([name, { ok, error }]) => {
    const state = el("span", { class: `badge ${ok ? "ok" : "bad"}`, text: ok ? "Answers" : "▲ Does not answer" });
    return el("li", { class: ok ? null : "broken" }, el("span", { class: "strong", text: name }), state, ok ? null : el("span", { class: "sub", text: visible(error ?? "") }));
  });
  return el("ul", { class: "parts", "aria-label": "Parts" }, ...items);
}

function queueTile(name, stream, limit) {
  if (stream.items === null) return tile(name, "–", "not known: the queue does not answer", "bad");
  const age = stream.oldest_age_s ? `oldest ${duration(stream.oldest_age_s)}` : stream.items > 0 ? "just come" : "empty";
  const pending = stream.pending_items > 0 ? `, ${count(stream.pending_items)} being worked on` : "";
  const share = limit ? stream.items / limit : 0;
  return tile(name, count(stream.items), age + pending, share > 0.8 ? "bad" : share > 0.2 ? "warn" : "");
}

const octets = (n) => (n >= 1 << 30 ? `${(n / (1 << 30)).toFixed(1)} GiB` : `${(n / (1 << 20)).toFixed(1)} MiB`);

// Waiting on disk is not a loss: the tile warns, and turns red when the disk's share is nearly used.
function spoolTile(spool) {
  const room = `${octets(spool.octets)} of ${octets(spool.limit_octets)}`;
  if (!spool.since) return tile("Waiting on disk", "0", `spool empty, room for ${octets(spool.limit_octets)}`);
  const kind = spool.octets > 0.8 * spool.limit_octets ? "bad" : "warn";
  const now = spool.error ? "the queue is away" : "draining now";
  return tile("Waiting on disk", count(spool.events), `spooling since ${fullTime(spool.since)}, ${room}; ${now}`, kind);
}

// With the board away nobody is heard of, and nobody is silent by his own fault.
const PEER_RECENT_S = 15;

function peerState(peer) {
  if (peer.is_silent) return el("span", { class: "badge bad", text: `Silent for ${duration(peer.seen_s)}` });
  if (peer.seen_s > PEER_RECENT_S) return el("span", { class: "badge", text: `Seen ${duration(peer.seen_s)} ago` });
  if (peer.state !== "running") return el("span", { class: "badge warn", text: "Draining" });
  return el("span", { class: "badge ok", text: "Running" });
}

function peerParts(peer) {
  if (peer.is_silent) return "not known";
  const broken = Object.entries(peer.dependencies).filter(([, part]) => !part.ok).map(([name]) => name);
  if (broken.length === 0) return el("span", { class: "badge ok", text: "All answer" });
  return el("span", { class: "badge bad", text: `▲ ${broken.join(", ")}`, title: broken.map((name) => visible(peer.dependencies[name].error ?? "")).join("\n") });
}

const PEER_COLUMNS = [
  { label: "Daemon", cell: (peer) => el("span", { title: `instance ${peer.instance_id}, started ${fullTime(peer.started_at)}`, text: visible(peer.name) + (peer.is_self ? " (this one)" : "") }) },
  { label: "Version", class: "mono nowrap", cell: (peer) => peer.version },
  { label: "State", cell: peerState },
  { label: "Parts", cell: peerParts },
  { label: "Events per second", class: "number", cell: (peer) => rate(peer.received_per_s_1m) },
  { label: "Lag", class: "number nowrap", cell: (peer) => duration(peer.lag_s) },
  { label: "Received", class: "number", cell: (peer) => count(peer.listeners.received) },
  { label: "Lost", class: "number", cell: (peer) => loss({ lost: peer.listeners.dropped + peer.listeners.kernel_dropped }, "lost") },
  { label: "On disk", class: "number", cell: (peer) => count(peer.spooled_events) },
];

const BREAKERS = {
  closed: () => el("span", { class: "badge ok", text: "Closed" }),
  open: ({ failures, probe_in_s: wait_s }) => el("span", { class: "badge bad", text: `▲ Open after ${count(failures)} failures, next try in ${duration(wait_s)}` }),
  probing: () => el("span", { class: "badge warn", text: "Trying one" }),
};

function forwarderState(destination) {
  const { kind, text } = FORWARDER_STATES[destination.state] ?? { kind: "", text: destination.state };
  const error = destination.last_error ? el("div", { class: "sub", text: `Last error: ${visible(destination.last_error)}` }) : null;
  return el("div", {}, el("span", { class: kind ? `badge ${kind}` : "", text: visible(text) }), error);
}

const DESTINATION_COLUMNS = [
  { label: "Destination", cell: (each) => el("span", { class: "strong", text: visible(each.name) + (each.is_default ? " (default)" : "") }) },
  { label: "State", cell: forwarderState },
  { label: "Circuit breaker", cell: ({ breaker }) => (BREAKERS[breaker.state] ?? BREAKERS.probing)(breaker) },
  { label: "Waiting", class: "number nowrap", cell: (each) => el("div", {}, count(each.waiting), each.waiting ? el("div", { class: "sub", text: `oldest ${duration(each.oldest_age_s)}` }) : null) },
  { label: "Delivered", class: "number", cell: (each) => count(each.delivered) },
  { label: "Retried", class: "number", cell: (each) => count(each.retried) },
  { label: "Given up", class: "number", cell: (each) => (each.dead > 0 ? el("a", { href: `/dead-letters?destination=${encodeURIComponent(each.name)}`, text: count(each.dead) }) : "0") },
];

function destinationsPart({ destinations }) {
  if (destinations.length > 0) return makeTable("Destinations", DESTINATION_COLUMNS, destinations);
  return el("p", { class: "muted", text: "No webhook configured: alerts are shown and not sent. Set MUTTD_MOOG_WEBHOOK_URL." });
}

const percent = (share) => `${(share * 100).toFixed(share > 0.99 && share < 1 ? 3 : 1)} %`;

const LEVEL_COLUMNS = [
  { label: "Component", cell: (level) => level.component },
  { label: "Did well", class: "number", cell: (level) => percent(level.availability) },
  { label: "Budget left", class: "number", cell: (level) => (level.budget_left > 0 ? percent(level.budget_left) : el("strong", { class: "badge bad", text: "▲ spent" })) },
  { label: "Burn rate, 1 h", class: "number", cell: (level) => `${level.burn_rate_1h.toFixed(1)} ×` },
  { label: "Good", class: "number", cell: (level) => count(level.good) },
  { label: "Of", class: "number", cell: (level) => count(level.total) },
];

// Kept from one status to the next, until it is known anew.
const levels = el("section");

/** The service levels, asked for beside the status. */
async function drawLevels() {
  try {
    const { target, window_s: window_s, components } = await api("/api/v2/slo");
    const words = `Target ${percent(target)} over ${duration(window_s)}; a burn rate of 1 × spends the budget exactly.`;
    levels.replaceChildren(el("h2", { text: "Service levels of this daemon" }), makeTable("Service levels", LEVEL_COLUMNS, components), el("p", { class: "muted", text: words }));
  } catch (error) {
    levels.replaceChildren(failure(error, drawLevels));
  }
}

function draw(status) {
  const { daemon, rates, queue, rules, pipeline } = status;
  byId("daemon").textContent = `${visible(daemon.name)}, muttd ${daemon.version}, ${daemon.state} for ${duration(daemon.uptime_s)}`;
  byId("daemon").title = `started ${fullTime(daemon.started_at)}`;
  const warnings = (status.warnings ?? []).map((text) => el("div", { class: "notice warning" }, el("p", { text: visible(text) })));
  byId("status").replaceChildren(
    ...(warnings.length === 0 ? [] : [section("Warnings", ...warnings)]),
    el(
      "div",
      { class: "tiles" },
      tile("Events per second", rate(rates.received_per_s_1m), `15 min: ${rate(rates.received_per_s_15m)}, 1 h: ${rate(rates.received_per_s_1h)}`),
      queueTile("Events in the queue", queue.ingest, queue.limit),
      queueTile("Alerts in the queue", queue.alert, null),
      status.spool ? spoolTile(status.spool) : null,
      tile("Matched", count(pipeline.matched), `${count(pipeline.unmatched)} matched no rule`),
      tile("Buried", count(pipeline.buried), "events given up on", pipeline.buried > 0 ? "bad" : ""),
      tile("Active rules", count(rules.active), rules.loaded_at ? `revision ${rules.revision}, since ${fullTime(rules.loaded_at).slice(11, 19)}` : `revision ${rules.revision}`),
    ),
    section("Parts of this daemon", partsLine(status.dependencies)),
    section("Where alerts go", destinationsPart(status)),
    section("Daemons", makeTable("Daemons", PEER_COLUMNS, status.peers)),
    el("div", { class: "side-by-side" }, section("Listeners", makeTable("Listeners", LISTENER_COLUMNS, status.listeners)), levels),
  );
  byId("status").setAttribute("aria-busy", "false");
  drawLevels();
}

// shell.js asks for the status on every page; this page draws the same answer.
watchStatus(({ status, error }) => {
  if (error === null) draw(status);
  else byId("status").replaceChildren(failure(error, () => location.reload()));
});
