// The Live page: stream, pause, gap filling, keyboard, detail.
//
//   websocket --events--> running: rows        paused: counted, the newest kept
//   GET /api/v2/events?after= fills what a pause, a lost connection or a changed filter left out
//
// Gap filling asks from some seconds before the last event seen: events of two listeners may reach
// the store in another order than the screen, and rows take the same event twice without harm.

import { api, query } from "./api.js";
import { byId, isDialogOpen, isTyping } from "./dom.js";
import { EventDetail } from "./event_detail.js";
import { idAt, idBefore } from "./event_ids.js";
import { EventRows, MAX_ROWS } from "./event_rows.js";
import { LiveFilter } from "./live_filter.js";
import { startOverview } from "./live_overview.js";
import { LiveSocket } from "./live_socket.js";
import { showBooks } from "./live_status.js";
import * as view from "./live_view.js";
import { SavedFilters } from "./saved_filters.js";
import { watchStatus } from "./shell.js";

const FIRST_FILL = 100;
const PAGE = 200;
const OVERLAP_MS = 5000;
// Time for what was on its way through the queue, when we looked first, to reach the store.
const SECOND_LOOK_MS = 2000;
const PENDING_CHECK_MS = 5000;
// Longer than a beat of the daemon, so that one quiet tick does not end a flood.
const FLOOD_MS = 2500;
const TOP_PX = 8;

class LivePage {
  constructor() {
    this.rows = new EventRows(byId("rows"), () => this.#drawn());
    this.detail = new EventDetail(byId("detail"), {
      onClose: () => this.#detailClosed(),
      mayChange: ["operator", "admin"].includes(document.body.dataset.role),
    });
    this.detail.onOpen = (eventId) => this.#open(eventId, null);
    this.filter = new LiveFilter(() => this.#filterChanged());
    new SavedFilters(() => this.filter.values);
    this.socket = new LiveSocket({
      onOpen: () => this.#opened(),
      onMessage: (message) => this.#received(message),
      onState: (state, wait_ms) => this.#connection(state, wait_ms),
    });
    this.stream = byId("stream");
    this.pausedBy = null; // null, "button", "scroll" or "reading"
    this.held = [];
    this.heldCount = 0;
    this.isHeldEstimate = false; // the daemon sent one in n
    this.isServerPaused = false;
    this.generation = 0;
    this.isFilling = true;
    this.hasConnected = false;
    this.unanswered = 0; // filters that the daemon has not answered yet
    this.clockSkew_ms = null;
    this.freshAt = null; // received_at of the newest event that came live and is not drawn yet
    this.sampledUntil = 0;
    this.hasHoles = false; // by sampling, or because this browser was too slow
    this.missed = 0;
    this.missedFilled = 0;
    this.status = null;
    this.connectionState = "connecting";
    this.#listen();
    this.#fill();
    this.socket.connect();
    setInterval(() => this.#checkPending(), PENDING_CHECK_MS);
    const wanted = new URLSearchParams(location.search).get("event");
    if (wanted) this.#open(wanted, null);
  }

  #listen() {
    byId("pause").addEventListener("click", () => this.#togglePause());
    byId("pill").addEventListener("click", () => this.#resumeAtTop());
    this.stream.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    byId("rows").addEventListener("click", (event) => {
      const row = event.target.closest(".event-row");
      // A person who marks text does not ask for the detail.
      if (row !== null && getSelection().isCollapsed) this.#openRow(row);
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    watchStatus(({ status }) => {
      if (status === null) return;
      this.status = status;
      showBooks(status);
      this.#showEmpty();
    });
  }

  // ---- what the daemon says --------------------------------------------------------------

  #opened() {
    this.isServerPaused = false;
    this.socket.mayBeSilent = false;
    this.unanswered = 0;
    this.#showBusy();
    // A new connection counts what it misses from nothing.
    this.missed = 0;
    this.missedFilled = 0;
    // A new connection shows everything until it is told otherwise; after a lost one, and after the
    // answer to a filter, there is something to fill.
    if (!this.filter.isEmpty) this.#sendFilter();
    else if (this.hasConnected && this.pausedBy === null) this.#catchUp();
    this.hasConnected = true;
  }

  /** Until the daemon has answered, what comes in is still the old filter's. */
  #sendFilter() {
    if (!this.socket.isOpen) return;
    this.unanswered += 1;
    this.#showBusy();
    this.socket.send({ type: "filter", filter: this.filter.forSocket });
  }

  #filtered() {
    this.unanswered = Math.max(0, this.unanswered - 1);
    this.#showBusy();
    // What came while we were deaf is in the store, or will be.
    if (this.unanswered === 0 && !this.isFilling && this.pausedBy === null) this.#catchUp();
  }

  #received(message) {
    if (message.type === "events") this.#events(message.events, message.sampled);
    else if (message.type === "decisions") this.#decisions(message.decisions);
    else if (message.type === "stats") this.#stats(message);
    else if (message.type === "hello") this.clockSkew_ms = Date.now() - Date.parse(message.now);
    else if (message.type === "filtered") this.#filtered();
    else if (message.type === "error") {
      this.#filtered();
      view.showNote(message.message);
    }
  }

  #events(events, sampled) {
    if (sampled > 1) {
      this.hasHoles = true;
      this.sampledUntil = performance.now() + FLOOD_MS;
      view.showSampled(sampled, true);
    }
    if (this.isFilling || this.unanswered > 0) return;
    if (this.pausedBy === null) {
      this.freshAt = events.at(-1)?.received_at ?? null;
      this.rows.add(events);
      return;
    }
    this.heldCount += events.length * sampled;
    this.isHeldEstimate ||= sampled > 1;
    this.held.push(...events);
    if (this.held.length > MAX_ROWS) {
      // More than the screen can take up again: spare the daemon the work and look it up later.
      this.held = [];
      this.isServerPaused = true;
      this.socket.mayBeSilent = true;
      this.socket.send({ type: "pause" });
    }
    this.#showPill();
  }

  #decisions(decisions) {
    for (const decision of decisions) {
      if (!this.rows.decide(decision)) {
        const held = this.held.find((event) => event.event_id === decision.event_id);
        if (held !== undefined) Object.assign(held, decision, { pending: false });
      }
      if (decision.event_id === this.detail.eventId) this.detail.refresh();
    }
  }

  #stats(stats) {
    view.showRate(stats.received_per_s);
    this.clockSkew_ms = Date.now() - Date.parse(stats.now);
    const isFlood = performance.now() < this.sampledUntil || stats.missed > this.missed;
    this.hasHoles ||= stats.missed > this.missed;
    this.missed = stats.missed;
    if (this.hasHoles && !isFlood && this.pausedBy === null) {
      // The flood is over: what it left out of the rows on the screen comes from the store.
      this.hasHoles = false;
      this.missedFilled = stats.missed;
      this.#fetchAfter(null, this.generation);
    }
    view.showSampled(0, performance.now() <= this.sampledUntil);
    view.showMissed(stats.missed - this.missedFilled);
  }

  #connection(state, wait_ms) {
    this.connectionState = state;
    view.showNote(state === "lost" ? `No connection. Next attempt in ${Math.max(1, Math.round(wait_ms / 1000))} s; nothing is lost meanwhile.` : "");
    if (state !== "live") view.showRate(null);
    this.#showConnection();
  }

  // ---- filling ---------------------------------------------------------------------------

  async #fill() {
    this.generation += 1;
    const generation = this.generation;
    this.isFilling = true;
    this.#showBusy();
    this.rows.clear();
    this.held = [];
    this.heldCount = 0;
    this.isHeldEstimate = false;
    this.#showPill();
    this.#showEmpty();
    try {
      const { events } = await api(`/api/v2/events${query({ ...this.filter.values, limit: FIRST_FILL })}`);
      if (generation !== this.generation) return;
      this.#filled();
      this.rows.add(events);
      this.#showEmpty();
      this.#catchUp();
    } catch (error) {
      if (generation !== this.generation) return;
      // The stream may go on without the past.
      this.#filled();
      view.showFailure(error, () => this.#fill());
    }
  }

  #filled() {
    this.isFilling = false;
    this.#showBusy();
  }

  /** Fetch what came since the newest row, now and once more a little later. */
  async #catchUp() {
    const generation = this.generation;
    const after = idBefore(this.rows.newestId, OVERLAP_MS);
    await this.#fetchAfter(after, generation);
    setTimeout(() => this.#fetchAfter(after, generation), SECOND_LOOK_MS);
  }

  async #fetchAfter(after, generation) {
    let cursor = null;
    let fetched = 0;
    try {
      do {
        const page = await api(`/api/v2/events${query({ ...this.filter.values, after, limit: PAGE, cursor })}`);
        if (generation !== this.generation) return;
        fetched += page.events.length;
        if (this.pausedBy === null) this.rows.add(page.events);
        cursor = page.next_cursor;
      } while (cursor && fetched < MAX_ROWS);
    } catch (error) {
      if (generation === this.generation) view.showNote(`Some events may be missing here: ${error.message}`);
    }
  }

  // A decision may get lost on its way to a slow browser. The store knows it.
  #checkPending() {
    const oldest = this.rows.oldestPendingAt();
    if (oldest === null || this.pausedBy !== null || this.connectionState !== "live") return;
    const age_ms = Date.now() - (this.clockSkew_ms ?? 0) - oldest.getTime();
    if (age_ms > PENDING_CHECK_MS) this.#fetchAfter(idAt(oldest.getTime() - 1), this.generation);
  }

  #filterChanged() {
    this.#sendFilter();
    if (this.pausedBy !== null) this.#unpause();
    this.stream.scrollTop = 0;
    this.#fill();
  }

  // ---- pausing ---------------------------------------------------------------------------

  #pause(by) {
    if (this.pausedBy === "button" || this.pausedBy === by) return;
    this.pausedBy = by;
    this.#showPill();
    this.#showConnection();
  }

  #unpause() {
    this.pausedBy = null;
    const held = this.held;
    this.held = [];
    this.heldCount = 0;
    this.isHeldEstimate = false;
    this.rows.add(held);
    if (this.isServerPaused) {
      this.isServerPaused = false;
      this.socket.mayBeSilent = false;
      this.socket.heardAt = performance.now();
      this.socket.send({ type: "resume" });
    }
    this.#catchUp();
    this.#showPill();
    this.#showConnection();
  }

  #togglePause() {
    if (this.pausedBy === null) this.#pause("button");
    else this.#resumeAtTop();
  }

  #resumeAtTop() {
    this.stream.scrollTop = 0;
    if (this.detail.isOpen && window.matchMedia("(max-width: 760px)").matches) this.detail.close();
    if (this.pausedBy !== null) this.#unpause();
  }

  #scrolled() {
    const isAway = this.stream.scrollTop > TOP_PX;
    if (isAway && this.pausedBy === null) this.#pause("scroll");
    else if (!isAway && this.pausedBy === "scroll") this.#unpause();
  }

  // ---- keyboard and detail ---------------------------------------------------------------

  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || isDialogOpen()) return;
    const isOnControl = event.target.closest("a, button, summary") !== null;
    if (event.key === " " && !isOnControl) this.#togglePause();
    else if (event.key === "j") this.#move(1);
    else if (event.key === "k") this.#move(-1);
    else if (event.key === "Enter" && !isOnControl && this.rows.current !== null) this.#openRow(this.rows.current);
    else if (event.key === "Home" && !this.detail.panel.contains(event.target)) this.#resumeAtTop();
    else if (event.key === "Escape" && this.detail.isOpen) this.detail.close();
    else return;
    event.preventDefault();
  }

  #move(step) {
    const current = this.rows.current;
    const row = current === null ? byId("rows").firstElementChild : step > 0 ? current.nextElementSibling : current.previousElementSibling;
    if (row === null) return;
    if (this.pausedBy === null || this.pausedBy === "scroll") this.#pause("reading");
    this.rows.select(row);
    row.scrollIntoView({ block: "nearest" });
    if (this.detail.isOpen) this.#open(row.dataset.id, this.rows.eventOf(row), false);
    else row.focus({ preventScroll: true });
  }

  #openRow(row) {
    if (this.pausedBy === null || this.pausedBy === "scroll") this.#pause("reading");
    this.rows.select(row);
    this.#open(row.dataset.id, this.rows.eventOf(row));
  }

  #open(eventId, known, takeFocus = true) {
    this.detail.open(eventId, known, takeFocus);
    byId("live-body").classList.add("with-detail");
    history.replaceState(null, "", location.pathname + query({ ...this.filter.values, event: eventId }));
  }

  #detailClosed() {
    byId("live-body").classList.remove("with-detail");
    history.replaceState(null, "", location.pathname + query(this.filter.values));
    (this.rows.current ?? this.stream).focus({ preventScroll: true });
    if (this.pausedBy !== "reading") return;
    if (this.stream.scrollTop > TOP_PX) this.pausedBy = "scroll";
    else this.#unpause();
  }

  // ---- what the page shows ---------------------------------------------------------------

  #drawn() {
    this.#showEmpty();
    // Events out of the store say nothing about the lag now.
    if (this.freshAt === null || this.clockSkew_ms === null) return;
    view.showLag(Date.now() - this.clockSkew_ms - Date.parse(this.freshAt));
    this.freshAt = null;
  }

  #showConnection() {
    view.showConnection(this.connectionState, this.pausedBy !== null);
  }

  #showPill() {
    view.showPill(this.pausedBy !== null, { held: this.heldCount, isEstimate: this.isHeldEstimate, isOver: this.isServerPaused });
  }

  #showBusy() {
    view.showBusy(this.isFilling || this.unanswered > 0);
  }

  #showEmpty() {
    const hasRows = this.rows.order.length > 0;
    view.showHasRows(hasRows);
    if (hasRows || this.rows.waiting.size > 0) return;
    if (this.isFilling) view.showLoading();
    else view.showEmpty(this.status, this.filter.isEmpty ? null : () => this.filter.clear());
  }
}

new LivePage();
startOverview();
