// One dead letter: why it is here, what is in it, and its repair.

import { api } from "./api.js";
import { el } from "./dom.js";
import { count, hexDump, visible } from "./format.js";
import { momentNode } from "./moment.js";
import { confirm, toast } from "./shell.js";
import { SidePanel } from "./side_panel.js";

export const REASONS = {
  rejected: { short: "Rejected", text: "The destination says that it will never take this alert as it is." },
  failing: { short: "Failing", text: "It failed again and again while the destination took others." },
  poison: { short: "Poison", text: "The code itself fails on this event. Replaying helps after an edit, or with a newer version." },
  undecodable: { short: "Unreadable", text: "This is no event or alert of ours. It can only be looked at and discarded." },
};

// What may be mended, as the daemon allows it. Everything else of an event is evidence.
const EVENT_FIELDS = ["hostname", "message", "severity", "facility", "app_name", "procid", "msgid", "trap_oid", "attributes"];
const ALERT_FIELDS = ["signature", "team"];

const pick = (record, names) => Object.fromEntries(names.map((name) => [name, record[name] ?? null]));

export class LetterDetail extends SidePanel {
  /**
   * @param {HTMLElement} panel
   * @param {{mayChange: boolean, onClose: function(): void, onChange: function(): void}} options
   */
  constructor(panel, { mayChange, onClose, onChange }) {
    super(panel, onClose);
    this.mayChange = mayChange;
    this.onChange = onChange;
    this.letterId = null;
  }

  async open(letterId) {
    this.letterId = letterId;
    this.fill("Dead letter", el("p", { class: "muted", text: "Loading…" }));
    this.unfold();
    try {
      const letter = await api(this.#path);
      if (letterId === this.letterId) this.#show(letter);
    } catch (error) {
      const text = error.status === 404 ? "This dead letter is gone: somebody replayed or discarded it." : error.message;
      this.fill("Dead letter", el("div", { class: "notice error", role: "alert" }, el("p", { text })));
    }
  }

  get #path() {
    return `/api/v2/dead-letters/${encodeURIComponent(this.letterId)}`;
  }

  #show(letter) {
    this.fill(letter.kind === "alert" ? "Dead alert" : "Dead event", this.#why(letter), facts(letter), ...(letter.event === null ? [octets(letter)] : [this.#content(letter)]));
  }

  #why(letter) {
    const reason = REASONS[letter.reason] ?? { short: letter.reason, text: "" };
    const actions = el("div", { class: "actions" });
    if (this.mayChange && letter.event !== null) actions.append(el("button", { class: "button primary", type: "button", text: "Replay", on: { click: () => this.#replay(letter) } }));
    if (this.mayChange) actions.append(el("button", { class: "button danger-quiet", type: "button", text: "Discard", on: { click: () => this.#discard() } }));
    const parked = letter.is_parked ? el("div", { class: "notice warning" }, el("p", { text: `Parked after ${count(letter.replays)} replays: nothing replays it by itself any more. An edit starts the count anew.` })) : null;
    return el("section", { "aria-label": "Why it is here" }, el("p", {}, el("span", { class: "badge bad", text: reason.short }), ` ${reason.text}`), el("p", { class: "message", text: visible(letter.error) }), parked, actions);
  }

  #content(letter) {
    const given = { event: pick(letter.event, EVENT_FIELDS), ...(letter.alert === null ? {} : { alert: pick(letter.alert, ALERT_FIELDS) }) };
    const text = el("textarea", { class: "input mono", rows: 16, spellcheck: "false", "aria-label": "Content as JSON", "aria-describedby": "letter-error", readonly: !this.mayChange });
    text.value = JSON.stringify(given, null, 2);
    const error = el("p", { class: "field-error", id: "letter-error", hidden: true });
    const why = el("input", { class: "input", "aria-label": "Why you edit it", placeholder: "Why (kept in the audit)", maxlength: 1000, autocomplete: "off" });
    const form = el("form", { class: "field" }, text, error);
    if (this.mayChange) form.append(why, el("div", { class: "actions" }, el("button", { class: "button", text: "Save edit" }), el("button", { class: "button primary", type: "button", text: "Save edit and replay", on: { click: () => this.#edit(text, error, why, true) } })));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#edit(text, error, why, false);
    });
    const whole = el("details", { class: "more" }, el("summary", { text: "The whole event" }), el("pre", { class: "octets", tabindex: "0", role: "region", "aria-label": "The whole event", text: visible(JSON.stringify(letter.event, null, 2)) }));
    return el("section", {}, el("h3", { text: "Content" }), form, whole);
  }

  async #edit(text, error, why, isReplayed) {
    let body = null;
    error.hidden = true;
    text.removeAttribute("aria-invalid");
    try {
      body = JSON.parse(text.value);
      body.change_reason = why.value.trim() || undefined;
      await api(this.#path, { method: "PUT", body });
      toast("The dead letter is changed.");
      if (isReplayed) await this.#send(false);
      else await this.open(this.letterId);
      this.onChange();
    } catch (problem) {
      error.textContent = problem instanceof SyntaxError ? `This is no JSON: ${problem.message}` : problem.details?.map((detail) => `${detail.field}: ${detail.message}.`).join(" ") || problem.message;
      error.hidden = false;
      text.setAttribute("aria-invalid", "true");
      text.focus();
    }
  }

  async #replay(letter) {
    if (letter.is_parked) {
      const agreed = await confirm({ title: "Replay a parked letter?", text: "It failed after every replay so far, and nothing in it was changed since.", action: "Replay" });
      if (!agreed) return;
    }
    try {
      await this.#send(letter.is_parked);
    } catch (error) {
      toast(`Not replayed: ${error.message}`, "error");
    }
    this.onChange();
  }

  async #send(parked) {
    const { replayed } = await api("/api/v2/dead-letters/replay", { method: "POST", body: { ids: [this.letterId], parked } });
    toast(replayed === 1 ? "Replayed: it is back in the queue." : "It was not there any more.");
    this.close();
  }

  async #discard() {
    const agreed = await confirm({ title: "Discard for good?", text: "It cannot be replayed or read afterwards. The audit keeps that you discarded it, and why it was here.", action: "Discard" });
    if (!agreed) return;
    try {
      await api(this.#path, { method: "DELETE" });
      toast("Discarded.");
      this.close();
    } catch (error) {
      toast(`Not discarded: ${error.message}`, "error");
    }
    this.onChange();
  }
}

function facts(letter) {
  const pairs = [
    ["first failed", momentNode(letter.first_failed_at)],
    ["last failed", momentNode(letter.last_failed_at)],
    ["attempts", count(letter.attempts)],
    ["replays", count(letter.replays)],
    ["destination", letter.destination],
    ["given up by", letter.origin],
    [letter.kind, letter.item_id],
    ["rule", letter.alert?.rule_name ?? null],
  ];
  const list = el("dl", { class: "facts" });
  for (const [name, value] of pairs) if (value !== null && value !== "") list.append(el("dt", { text: name }), el("dd", {}, value instanceof Node ? value : visible(String(value))));
  return el("section", {}, el("h3", { text: "What happened" }), list);
}

function octets(letter) {
  const dump = hexDump(Uint8Array.from(atob(letter.payload_base64 ?? ""), (character) => character.charCodeAt(0)));
  return el("section", {}, el("h3", { text: "Octets" }), el("pre", { class: "octets hex", tabindex: "0", role: "region", "aria-label": "Octets", text: dump }));
}
