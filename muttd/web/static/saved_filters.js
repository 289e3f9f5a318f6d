// Filters that a person gave a name. A saved filter is an address of the Live page, so it can be
// opened in a tab of its own, sent to a colleague or kept as a bookmark; the names are this browser's.

import { query } from "./api.js";
import { byId, el } from "./dom.js";

const STORAGE_KEY = "muttd-filters";
// More than anybody finds again in a menu.
const MAX_FILTERS = 40;

function readAll() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((each) => typeof each?.name === "string" && typeof each?.search === "string") : [];
  } catch {
    return [];
  }
}

function keep(filters) {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(filters));
    return true;
  } catch {
    return false;
  }
}

export class SavedFilters {
  /** @param {function(): Object} current Gives the filter that is set now, as the address has it. */
  constructor(current) {
    this.current = current;
    this.menu = byId("saved");
    this.form = byId("saved-form");
    this.form.addEventListener("submit", (event) => this.#save(event));
    this.menu.addEventListener("toggle", () => {
      if (this.menu.open) this.#draw();
    });
    this.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.#close();
      this.menu.querySelector("summary").focus();
      event.stopPropagation();
    });
    document.addEventListener("click", (event) => {
      if (this.menu.open && !this.menu.contains(event.target)) this.#close();
    });
  }

  #close() {
    this.menu.open = false;
  }

  #draw(said = "") {
    const filters = readAll();
    const search = query(this.current());
    byId("saved-list").replaceChildren(
      ...(filters.length === 0 ? [el("li", { class: "muted", text: "None yet. Set a filter, give it a name, and it stays here." })] : filters.map((each) => this.#item(each, each.search === search))),
    );
    this.form.hidden = search === "";
    byId("saved-said").textContent = said;
  }

  #item({ name, search }, isCurrent) {
    const remove = el("button", { class: "button small quiet", type: "button", text: "Remove", "aria-label": `Remove ${name}`, on: { click: () => this.#remove(name) } });
    const link = el("a", { href: `/live${search}`, text: name, "aria-current": isCurrent ? "true" : null });
    return el("li", {}, link, remove);
  }

  #save(event) {
    event.preventDefault();
    const name = this.form.elements.name.value.trim();
    if (name === "") return;
    const others = readAll().filter((each) => each.name !== name);
    const isKept = keep([...others, { name, search: query(this.current()) }].slice(-MAX_FILTERS));
    this.form.reset();
    this.#draw(isKept ? `“${name}” is saved in this browser.` : "This browser keeps nothing for this page; use a bookmark.");
  }

  #remove(name) {
    keep(readAll().filter((each) => each.name !== name));
    this.#draw(`“${name}” is removed.`);
    this.menu.querySelector("summary").focus();
  }
}
