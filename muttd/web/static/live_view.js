// What the Live page shows of its state: connection, pill, sampling, lag, empty stream. No state here.

import { byId, el } from "./dom.js";
import { MAX_ROWS } from "./event_rows.js";
import { count, duration, rate } from "./format.js";
import { firstSteps, nothingMatches } from "./live_empty.js";

const CONNECTIONS = { connecting: "Connecting", live: "Live", lost: "Disconnected" };

export function showBusy(isBusy) {
  byId("stream").setAttribute("aria-busy", String(isBusy));
}

export function showNote(text) {
  byId("stream-note").textContent = text;
}

/** @param {?number} received_per_s null where there is no connection that tells it. */
export function showRate(received_per_s) {
  byId("rate").textContent = received_per_s === null ? "–" : rate(received_per_s);
}

export function showLag(lag_ms) {
  byId("lag").textContent = duration(Math.max(0, lag_ms) / 1000);
}

/** @param {number} sampled One in so many is shown; 0 leaves the words, for the end of a flood. */
export function showSampled(sampled, isShown) {
  if (sampled > 1) byId("sampled").textContent = `showing 1 in ${count(sampled)}`;
  byId("sampled").hidden = !isShown;
}

export function showMissed(missed) {
  byId("missed").hidden = missed === 0;
  byId("missed").textContent = `${count(missed)} not shown yet: this browser was too slow`;
}

export function showConnection(state, isPaused) {
  const isHeld = isPaused && state === "live";
  byId("connection").dataset.state = isHeld ? "paused" : state;
  const text = isHeld ? "Paused" : CONNECTIONS[state];
  // A live region speaks when its text is set, even to what it was.
  if (byId("connection-text").textContent !== text) byId("connection-text").textContent = text;
  const pause = byId("pause");
  pause.textContent = isPaused ? "Resume" : "Pause";
  pause.setAttribute("aria-pressed", String(isPaused));
}

/**
 * How many events wait while the stream is paused.
 * @param {boolean} isPaused
 * @param {{held: number, isEstimate: boolean, isOver: boolean}} waiting isOver: too many to hold.
 */
export function showPill(isPaused, { held, isEstimate, isOver }) {
  const pill = byId("pill");
  pill.hidden = !isPaused || (held === 0 && !isOver);
  const shown = isEstimate ? `about ${count(held)}` : count(held);
  pill.textContent = isOver ? `${count(MAX_ROWS)}+ new` : `${shown} new`;
}

export function showHasRows(hasRows) {
  byId("events").hidden = !hasRows;
  byId("empty").hidden = hasRows;
}

export function showLoading() {
  byId("empty").replaceChildren(el("p", { class: "muted", text: "Loading the latest events…" }));
}

/** @param {?Function} clearFilter What lets everything through again; null where nothing is filtered. */
export function showEmpty(status, clearFilter) {
  byId("empty").replaceChildren(...(clearFilter === null ? firstSteps(status) : nothingMatches(clearFilter)));
}

export function showFailure(error, again) {
  const button = el("button", { class: "button", type: "button", text: "Try again", on: { click: again } });
  byId("empty").replaceChildren(el("div", { class: "notice error", role: "alert" }, el("p", { text: `The stored events could not be read: ${error.message}` }), button));
}
