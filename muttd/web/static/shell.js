// What every page has: menu, theme, help, confirmation, messages, the daemon's health.

import { api } from "./api.js";
import { byId, el, isDialogOpen, isTyping } from "./dom.js";
import { count } from "./format.js";

const HEALTH_EVERY_MS = 10_000;
const THEMES = ["auto", "light", "dark"];
const THEME_NAMES = { auto: "Auto", light: "Light", dark: "Dark" };

/** Ask before something that cannot be undone. Resolves to true when the person agrees. */
export function confirm({ title, text, action }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-ok").textContent = action;
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

/** Say something that needs no answer. Errors stay until they are closed. */
export function toast(text, kind = "done") {
  const close = el("button", { class: "button small", type: "button", text: "Close", on: { click: () => note.remove() } });
  const note = el("div", { class: `notice ${kind}` }, el("p", { text }), kind === "error" ? close : null);
  byId("toasts").append(note);
  if (kind !== "error") setTimeout(() => note.remove(), 6000);
}

/** A message kept over the next page load, for "saved" after a redirect. */
export function toastAfterLoad(text) {
  sessionStorage.setItem("muttd-toast", text);
}

function showTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const button = byId("theme");
  button.textContent = THEME_NAMES[theme];
  button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "follow the system" : theme}`);
}

function setUpTheme() {
  let theme = document.documentElement.dataset.theme ?? "auto";
  showTheme(theme);
  byId("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    showTheme(theme);
    try {
      localStorage.setItem("muttd-theme", theme);
    } catch {
      // Forbidden storage: the choice lasts as long as the page.
    }
  });
}

function setUpMenu() {
  const button = byId("menu");
  button.addEventListener("click", () => {
    const isOpen = byId("nav").classList.toggle("open");
    button.setAttribute("aria-expanded", String(isOpen));
  });
}

/** Esc in a search field ends the search as well: an empty field must not go on filtering. */
function leaveField(field) {
  if (field.type === "search" && field.value !== "") {
    field.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
  field.blur();
}

function setUpKeys() {
  const help = byId("help");
  byId("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isDialogOpen()) return;
    if (isTyping(event)) {
      if (event.key === "Escape") leaveField(event.target);
      return;
    }
    const search = document.querySelector("[data-search]");
    if (event.key === "?") help.showModal();
    else if (event.key === "/" && search) {
      search.focus();
      search.select();
    } else return;
    event.preventDefault();
  });
}

function lossOf(status) {
  return status.listeners.reduce((sum, listener) => sum + (listener.dropped || 0) + (listener.kernel_dropped || 0), 0);
}

/** One word and one state for the corner of every page. */
export function healthOf(status) {
  const broken = Object.entries(status.dependencies ?? {}).filter(([, part]) => !part.ok).map(([name]) => name);
  if (broken.length > 0) return { state: "bad", text: `${broken.join(", ")} not answering` };
  if (status.daemon.state !== "running") return { state: "warn", text: `Daemon is ${status.daemon.state}` };
  const loss = lossOf(status);
  if (loss > 0) return { state: "bad", text: `${count(loss)} events dropped` };
  const warnings = status.warnings ?? [];
  if (warnings.length > 0) return { state: "warn", text: warnings.length === 1 ? "1 warning" : `${warnings.length} warnings` };
  return { state: "ok", text: "All well" };
}

function showHealth({ state, text }) {
  const health = byId("health");
  health.dataset.state = state;
  byId("health-text").textContent = text;
  // The text is hidden on narrow screens; the name of the link always says it.
  health.setAttribute("aria-label", `System: ${text}`);
}

let lastAnswer = null;
const watchers = [];

function tell(answer) {
  lastAnswer = answer;
  for (const watcher of watchers) watcher(answer);
}

/**
 * Call back with the status document, now if it is known and whenever it is asked for again.
 * @param {function({status: Object|null, error: Error|null}): void} watcher One of the two is null.
 */
export function watchStatus(watcher) {
  watchers.push(watcher);
  if (lastAnswer !== null) watcher(lastAnswer);
}

async function watchHealth() {
  if (!document.hidden) {
    try {
      const status = await api("/api/v2/status");
      showHealth(healthOf(status));
      tell({ status, error: null });
    } catch (error) {
      showHealth({ state: "bad", text: error.message });
      tell({ status: null, error });
    }
  }
  setTimeout(watchHealth, HEALTH_EVERY_MS);
}

setUpTheme();
setUpMenu();
setUpKeys();
watchHealth();
const kept = sessionStorage.getItem("muttd-toast");
if (kept) {
  sessionStorage.removeItem("muttd-toast");
  toast(kept);
}
