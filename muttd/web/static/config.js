// The settings that change while the daemons run, by what they are about.

import { api } from "./api.js";
import { byId, el } from "./dom.js";
import { emptyState, failure } from "./list.js";
import { SettingRow } from "./setting_row.js";

const GROUPS = [
  { title: "Events without a rule", begins: ["unhandled_"] },
  { title: "Delivery of alerts", begins: ["moog_", "breaker_"] },
  { title: "Dead letters", begins: ["max_poison_", "remediation_", "dead_letter_"] },
  { title: "Queue and rules", begins: ["alerter_", "queue_", "flood_", "repeat_", "source_", "expected_"] },
  { title: "How long things are kept", begins: ["history_", "event_retention_", "config_audit_"] },
];

const place = byId("list");
const form = byId("filters");
const mayChange = ["operator", "admin"].includes(document.body.dataset.role);
let rows = [];

function isShown(row) {
  const words = form.elements.q.value.trim().toLowerCase();
  const { key, text, source } = row.setting;
  return (form.elements.shown.value === "" || source !== "default") && (words === "" || `${key} ${text}`.toLowerCase().includes(words));
}

function draw() {
  const left = new Set(rows.filter(isShown));
  const parts = [];
  for (const { title, begins } of [...GROUPS, { title: "Others", begins: [""] }]) {
    const own = [...left].filter((row) => begins.some((beginning) => row.setting.key.startsWith(beginning)));
    if (own.length === 0) continue;
    for (const row of own) left.delete(row);
    parts.push(el("section", { class: "card" }, el("h2", { text: title }), ...own.map((row) => row.node)));
  }
  if (parts.length === 0) parts.push(emptyState("No setting fits", el("p", { text: "Other settings are read at the start only: they are in the environment of the daemon, usually /etc/mutt/mutt.env." })));
  place.replaceChildren(...parts);
}

async function load() {
  try {
    const { config } = await api("/api/v2/config");
    rows = config.map((setting) => new SettingRow(setting, { mayChange }));
    draw();
  } catch (error) {
    place.replaceChildren(failure(error, load));
  }
  place.setAttribute("aria-busy", "false");
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", draw);
load();
