// What was given up on: choose, look into, mend, replay, discard.

import { api, query } from "./api.js";
import { byId, el } from "./dom.js";
import { count, oneLine, SEVERITIES, visible } from "./format.js";
import { REASONS, LetterDetail } from "./letter_detail.js";
import { emptyState, List, makeTable } from "./list.js";
import { momentNode } from "./moment.js";
import { confirm, toast } from "./shell.js";

const REFRESH_MS = 10_000;

const mayChange = ["operator", "admin"].includes(document.body.dataset.role);
const chosen = new Set();
let opener = null;
const detail = new LetterDetail(byId("detail"), {
  mayChange,
  onClose: () => (opener?.isConnected ? opener : document.querySelector("#list button"))?.focus({ preventScroll: true }),
  onChange: () => list.load(),
});
detail.closeOnEscape();

function openButton(letter) {
  const text = letter.message === null ? "cannot be read" : oneLine(letter.message);
  const button = el("button", { class: "link mono", type: "button", text, "aria-label": `Open dead letter: ${text}` });
  button.addEventListener("click", () => {
    opener = button;
    detail.open(letter.letter_id);
  });
  return button;
}

function box(letter) {
  const field = el("input", { type: "checkbox", class: "choose", "aria-label": `Choose ${oneLine(letter.message ?? letter.letter_id)}` });
  field.checked = chosen.has(letter.letter_id);
  field.addEventListener("change", () => {
    if (field.checked) chosen.add(letter.letter_id);
    else chosen.delete(letter.letter_id);
    drawBulk();
  });
  return field;
}

function reason(letter) {
  const badge = el("span", { class: "badge bad", text: REASONS[letter.reason]?.short ?? letter.reason });
  const parked = letter.is_parked ? el("span", { class: "badge warn", text: "Parked" }) : null;
  return el("div", {}, badge, parked ? " " : null, parked, el("div", { class: "sub", text: visible(letter.error) }));
}

function failures(letter) {
  const replays = letter.replays === 0 ? "" : letter.replays === 1 ? ", 1 replay" : `, ${count(letter.replays)} replays`;
  return el("div", {}, momentNode(letter.last_failed_at), el("div", { class: "sub", text: `${letter.attempts === 1 ? "1 attempt" : `${count(letter.attempts)} attempts`}${replays}` }));
}

function where(letter) {
  const to = letter.destination === null ? "" : `to ${visible(letter.destination)}, `;
  return el("div", {}, letter.kind === "alert" ? "Alert" : "Event", el("div", { class: "sub", text: `${to}from ${visible(letter.origin)}` }));
}

const COLUMNS = [
  ...(mayChange ? [{ label: "Choose", isLabelHidden: true, class: "choose-cell", cell: box }] : []),
  { label: "Last failed", class: "nowrap", cell: failures },
  { label: "Kind", cell: where },
  { label: "Why", cell: reason },
  { label: "Severity", cell: (letter) => (letter.severity === null ? "–" : el("span", { class: `severity sev-${letter.severity}`, text: SEVERITIES[letter.severity] })) },
  { label: "Host", cell: (letter) => visible(letter.hostname ?? "–") },
  { label: "Message", cell: openButton },
];

function empty(isFiltered) {
  if (isFiltered) return emptyState("No dead letter fits this filter", el("p", { text: "Choose another reason, or leave the destination empty." }));
  const text = "Nothing was given up on. An alert comes here when its destination says that it will never take it, an event when the code fails on it again and again. A destination that is down fills nothing in here: its alerts wait.";
  return emptyState("No dead letters", el("p", { text }), el("a", { class: "button", href: "/alerts", text: "Go to the alerts" }));
}

const form = byId("filters");
const list = new List({
  place: byId("list"),
  form,
  fetch: async (parameters) => {
    const { dead_letters: letters, pagination } = await api(`/api/v2/dead-letters${query(parameters)}`);
    const here = new Set(letters.map((letter) => letter.letter_id));
    for (const id of chosen) if (!here.has(id)) chosen.delete(id);
    total = pagination.total;
    drawBulk();
    return { items: letters, pagination };
  },
  draw: (letters) => makeTable("Dead letters, newest first", COLUMNS, letters),
  empty,
});
let total = 0;

function drawBulk() {
  const bulk = byId("bulk");
  if (bulk === null) return;
  bulk.hidden = total === 0;
  byId("bulk-count").textContent = chosen.size === 0 ? `${count(total)} ${total === 1 ? "dead letter" : "dead letters"}, none chosen` : `${count(chosen.size)} chosen`;
  for (const name of ["replay", "discard"]) byId(`bulk-${name}`).disabled = chosen.size === 0;
}

function said(verb, answer) {
  const parts = [`${count(answer[verb])} ${verb}.`];
  if (answer.parked) parts.push(`${count(answer.parked)} parked: edit one, or open it and replay it by hand.`);
  if (answer.unknown) parts.push(`${count(answer.unknown)} gone already.`);
  if (answer.left) parts.push(`${count(answer.left)} left: ask again for more.`);
  toast(parts.join(" "));
}

async function act(action, body) {
  try {
    said(action === "replay" ? "replayed" : "discarded", await api(`/api/v2/dead-letters/${action}`, { method: "POST", body }));
    chosen.clear();
  } catch (error) {
    toast(error.message, "error");
  }
  await list.load();
}

function filterOfForm() {
  const { kind, reason: why, destination } = list.values;
  return Object.fromEntries(Object.entries({ kind, reason: why, destination }).filter(([, value]) => value !== undefined));
}

async function discard(body, what) {
  const agreed = await confirm({ title: "Discard for good?", text: `${what} cannot be replayed or read afterwards. The audit keeps that you discarded it, and why it was here.`, action: "Discard" });
  if (agreed) await act("discard", body);
}

if (mayChange) {
  byId("bulk-replay").addEventListener("click", () => act("replay", { ids: [...chosen] }));
  byId("bulk-discard").addEventListener("click", () => discard({ ids: [...chosen] }, `${count(chosen.size)} dead letters`));
  byId("all-replay").addEventListener("click", async () => {
    const agreed = await confirm({ title: "Replay all that fit the filter?", text: "They go back into the queue, oldest first, within the rate limit. Parked ones stay.", action: "Replay" });
    if (agreed) await act("replay", { all: true, filter: filterOfForm() });
  });
  byId("all-discard").addEventListener("click", () => discard({ all: true, filter: filterOfForm() }, "All dead letters that fit the filter"));
}

list.load();
setInterval(() => {
  const isBusy = document.hidden || detail.isOpen || chosen.size > 0 || byId("list").contains(document.activeElement) || !getSelection().isCollapsed;
  if (!isBusy) list.load();
}, REFRESH_MS);
