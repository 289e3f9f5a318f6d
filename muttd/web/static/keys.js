// API keys: who may come in, since when, until when.

import { api } from "./api.js";
import { byId, el } from "./dom.js";
import { visible } from "./format.js";
import { emptyState, failure, makeTable } from "./list.js";
import { momentNode } from "./moment.js";
import { clearErrors, showErrors } from "./rule_form.js";
import { confirm, toast } from "./shell.js";

const ROLES = {
  ingest: "Sends events over HTTP, and sees nothing.",
  viewer: "Looks on.",
  operator: "Looks on; changes rules, hosts, settings and dead letters.",
  admin: "Does everything, keys included.",
};

const form = byId("key-form");
const place = byId("list");

function state(key) {
  if (key.is_valid) return el("span", { class: "badge ok", text: "Valid" });
  return el("span", { class: "badge", text: key.revoked_at ? "Revoked" : "Expired" });
}

function origin(key) {
  if (key.source === "configuration") return el("span", { class: "sub", text: "configuration of the daemon" });
  return el("div", {}, momentNode(key.created_at), el("div", { class: "sub", text: `by ${visible(key.created_by)}` }));
}

function end(key) {
  if (key.revoked_at) return el("div", {}, "revoked ", momentNode(key.revoked_at));
  return key.expires_at ? momentNode(key.expires_at) : el("span", { class: "muted", text: "never" });
}

function actions(key) {
  if (key.source === "configuration" || key.revoked_at) return "";
  const button = el("button", { class: "button small", type: "button", text: "Revoke", "aria-label": `Revoke ${visible(key.name)}, key ${key.id}`, on: { click: () => revoke(key) } });
  return el("div", { class: "row-actions" }, button);
}

const COLUMNS = [
  { label: "Name", cell: (key) => el("span", { class: "strong", text: visible(key.name) }) },
  { label: "Role", cell: (key) => el("span", { title: ROLES[key.role], text: key.role }) },
  { label: "State", cell: state },
  { label: "Made", cell: origin },
  { label: "Ends", cell: end },
  { label: "Actions", isLabelHidden: true, cell: actions },
];

async function load() {
  try {
    const { keys } = await api("/api/v2/keys");
    const ordered = [...keys].sort((a, b) => Number(b.is_valid) - Number(a.is_valid));
    place.replaceChildren(keys.length === 0 ? emptyState("No keys", el("p", { text: "Make one above." })) : makeTable("API keys", COLUMNS, ordered, (key) => (key.is_valid ? "" : "off")));
  } catch (error) {
    place.replaceChildren(failure(error, load));
  }
  place.setAttribute("aria-busy", "false");
}

async function revoke(key) {
  const agreed = await confirm({ title: "Revoke this key?", text: `Whoever uses this key of “${visible(key.name)}” is locked out at once, and signed out.`, action: "Revoke key" });
  if (!agreed) return;
  try {
    await api(`/api/v2/keys/${key.id}`, { method: "DELETE" });
    toast(`The key of “${key.name}” is revoked.`);
  } catch (error) {
    toast(`The key of “${key.name}” was not revoked: ${error.message}`, "error");
  }
  await load();
}

/** The only time that the key is seen. */
function reveal(key) {
  const copy = el("button", { class: "button", type: "button", text: "Copy" });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(key.key);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Not allowed by the browser";
    }
  });
  const hide = el("button", { class: "button", type: "button", text: "I have it", on: { click: () => notice.replaceChildren() || (notice.hidden = true) } });
  const notice = byId("new-key");
  notice.replaceChildren(el("p", {}, `The key of “${visible(key.name)}” (${key.role}). It is shown only now:`), el("p", {}, el("code", { class: "secret", text: key.key })), el("div", { class: "actions" }, copy, hide));
  notice.hidden = false;
  notice.focus();
}

async function make(event) {
  event.preventDefault();
  clearErrors(form);
  const expires = form.elements.expires_at.value;
  const body = { name: form.elements.name.value, role: form.elements.role.value, ...(expires ? { expires_at: new Date(expires).toISOString() } : {}) };
  try {
    reveal(await api("/api/v2/keys", { method: "POST", body }));
    form.reset();
    explain();
    await load();
  } catch (error) {
    const homeless = showErrors(form, error.details ?? []);
    if (homeless.length > 0 || !error.details?.length) toast(`No key was made: ${error.message}`, "error");
  }
}

function explain() {
  byId("key-role-help").textContent = ROLES[form.elements.role.value];
}

form.addEventListener("submit", make);
form.elements.role.addEventListener("change", explain);
load();
