// The last 24 hours above the stream, or as much of them as there is: how much came when, and who
// talks most.

import { api, query } from "./api.js";
import { barList, columnChart } from "./chart.js";
import { byId, el } from "./dom.js";
import { count, visible } from "./format.js";

const REFRESH_MS = 30_000;
const STORAGE_KEY = "muttd-overview";
const DAY_S = 24 * 3600;
const SHOWN_TALKERS = 6;
// Seconds between two words of the axis, the largest that fits at least twice.
const AXIS_STEPS_S = [6 * 3600, 3600, 900];

const two = (n) => String(n).padStart(2, "0");
const clock = (iso) => {
  const moment = new Date(iso);
  return `${two(moment.getHours())}:${two(moment.getMinutes())}`;
};

function chart({ chart: { bucket_s: bucket_s, buckets }, events_24h: total, matched_24h: matched }) {
  const sum = (bucket) => bucket.matched + bucket.unmatched;
  const most = buckets.reduce((best, bucket) => (sum(bucket) > sum(best) ? bucket : best), buckets[0]);
  const columns = buckets.map((bucket) => ({
    title: `${clock(bucket.start)}: ${count(sum(bucket))} events, ${count(bucket.matched)} matched`,
    parts: [
      { kind: "own", value: bucket.matched },
      { kind: "other", value: bucket.unmatched },
    ],
  }));
  const span_s = buckets.length * bucket_s;
  const step = AXIS_STEPS_S.find((step_s) => span_s >= 2 * step_s) / bucket_s;
  const axis = [...buckets.filter((_, at) => at % step === 0).map((bucket) => clock(bucket.start)), "now"];
  const shown = span_s === DAY_S ? "" : `; the chart begins ${span_s === 3600 ? "an hour" : `${span_s / 3600} hours`} ago, before the first of them`;
  const summary = `${count(total)} events in 24 hours, ${count(matched)} of them with a rule${shown}; most from ${clock(most.start)}: ${count(sum(most))} in ${bucket_s / 60} minutes`;
  return columnChart(summary, columns, axis, `in ${bucket_s / 60} min`);
}

function talkers(found) {
  if (found.length === 0) return el("p", { class: "muted", text: "Nobody in the last hour." });
  const items = found.slice(0, SHOWN_TALKERS).map(({ hostname, events }) => ({
    name: el("a", { href: `/live${query({ hostname })}`, title: visible(hostname), text: visible(hostname) }),
    value: events,
  }));
  return barList("Top talkers of the last hour", items);
}

function draw(metrics) {
  const legend = el("p", { class: "overview-legend" }, el("strong", { text: count(metrics.events_24h) }), " events in 24 h, ", el("span", { class: "key own", text: `${count(metrics.matched_24h)} matched` }), el("span", { class: "key other", text: `${count(metrics.events_24h - metrics.matched_24h)} not` }));
  byId("overview").replaceChildren(
    el("div", { class: "overview-volume" }, legend, chart(metrics)),
    el("div", { class: "overview-talkers" }, el("h2", { text: "Top talkers, last hour" }), talkers(metrics.top_talkers)),
  );
}

/** Let the button show and hide it; what a person chose is kept. */
export function startOverview() {
  const place = byId("overview");
  const button = byId("overview-toggle");
  let isOpen = window.matchMedia("(min-width: 761px) and (min-height: 700px)").matches;
  try {
    const kept = localStorage.getItem(STORAGE_KEY);
    if (kept !== null) isOpen = kept === "open";
  } catch {
    // Forbidden storage: as the size of the screen has it.
  }
  const load = async () => {
    if (!isOpen || document.hidden) return;
    try {
      draw(await api(`/api/v2/metrics${query({ chart_hours: "fit" })}`));
    } catch (error) {
      place.replaceChildren(el("p", { class: "muted", text: `The last 24 hours are not known: ${error.message}` }));
    }
  };
  const show = () => {
    place.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    load();
  };
  button.addEventListener("click", () => {
    isOpen = !isOpen;
    try {
      localStorage.setItem(STORAGE_KEY, isOpen ? "open" : "closed");
    } catch {
      // It lasts as long as the page.
    }
    show();
  });
  show();
  setInterval(load, REFRESH_MS);
}
