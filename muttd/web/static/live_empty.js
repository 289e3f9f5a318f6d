// What the Live page says while it has nothing to show: how to send the first event, with the
// addresses that this daemon really listens on.

import { el } from "./dom.js";

const EXAMPLES = {
  syslog_udp: { title: "Syslog over UDP", command: (host, port) => `logger -n ${host} -P ${port} --udp "hello from $(hostname)"` },
  syslog_tcp: { title: "Syslog over TCP", command: (host, port) => `logger -n ${host} -P ${port} --tcp "hello from $(hostname)"` },
  snmp: { title: "SNMP trap", command: (host, port) => `snmptrap -v2c -c public ${host}:${port} '' 1.3.6.1.6.3.1.1.5.3 1.3.6.1.2.1.2.2.1.1.3 i 3` },
};

/** The address that a device would use for a listener, or null when the listener is off. */
function reachable(listener) {
  const found = /^(.*):(\d+)$/.exec(listener.address ?? "");
  if (found === null) return null;
  const bound = found[1].replace(/^\[|\]$/g, "");
  // Bound to every address: the one that this page was reached by will do.
  const host = ["0.0.0.0", "::", "*", ""].includes(bound) ? location.hostname.replace(/^\[|\]$/g, "") : bound;
  return { host, port: found[2] };
}

/** Nodes for an empty stream without a filter. */
export function firstSteps(status) {
  const examples = el("div", { class: "examples" });
  const seen = new Set();
  for (const listener of status?.listeners ?? []) {
    const example = EXAMPLES[listener.name];
    const address = reachable(listener);
    if (example === undefined || address === null || seen.has(listener.name)) continue;
    seen.add(listener.name);
    examples.append(el("div", {}, el("h3", { text: example.title }), el("pre", {}, el("code", { text: example.command(address.host, address.port) }))));
  }
  const http = `curl -H "X-API-KEY: $KEY" -H "Content-Type: application/json" -d '{"hostname":"r1","message":"hello"}' ${location.origin}/api/v2/ingest`;
  examples.append(el("div", {}, el("h3", { text: "HTTP" }), el("pre", {}, el("code", { text: http }))));
  return [
    el("h2", { text: "No events yet" }),
    el("p", { text: "Point a device here, or try one of these from a shell. What arrives shows up in this place at once." }),
    examples,
  ];
}

/** Nodes for an empty stream with a filter. */
export function nothingMatches(onClear) {
  return [
    el("h2", { text: "Nothing matches this filter" }),
    el("p", { text: "No stored event matches, and none has come in since. The stream is on: a matching event appears here at once." }),
    el("button", { class: "button", type: "button", text: "Clear the filter", on: { click: onClear } }),
  ];
}
