// A list page: filters in the address, a table that becomes a stack on narrow screens, paging,
// and the three states that every list has: loading, empty, failed.

import { query } from "./api.js";
import { debounce, el } from "./dom.js";
import { count } from "./format.js";

export const PAGE_LIMIT = 50;

/**
 * Make a table.
 * @param {string} label
 * @param {{label: string, class?: string, isLabelHidden?: boolean, cell: function(Object): (Node|string)}[]} columns
 * @param {Object[]} items
 * @param {function(Object): string} rowClass
 */
export function makeTable(label, columns, items, rowClass = () => "") {
  // The roles are said, because a table laid out as a stack loses the ones it was born with.
  const head = el(
    "tr",
    { role: "row" },
    ...columns.map((column) => {
      const label = el("span", { class: column.isLabelHidden ? "visually-hidden" : null, text: column.label });
      return el("th", { role: "columnheader", scope: "col", class: column.class ?? null }, label);
    }),
  );
  const rows = items.map((item) =>
    el(
      "tr",
      { role: "row", class: rowClass(item) || null },
      ...columns.map((column) => el("td", { role: "cell", class: column.class ?? null, "data-label": column.isLabelHidden ? "" : column.label }, column.cell(item))),
    ),
  );
  return el(
    "div",
    { class: "table-wrap" },
    el("table", { class: "table stack", role: "table", "aria-label": label }, el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }, ...rows)),
  );
}

export function failure(error, onRetry) {
  const again = el("button", { class: "button", type: "button", text: "Try again", on: { click: onRetry } });
  return el("div", { class: "notice error", role: "alert" }, el("p", { text: error.message }), again);
}

export function emptyState(title, ...children) {
  return el("div", { class: "empty" }, el("h2", { text: title }), ...children);
}

export class List {
  /**
   * @param {{place: HTMLElement, form: HTMLFormElement, fetch: function(Object): Promise<{items: Object[], pagination: Object}>,
   *          draw: function(Object[]): Node, empty: function(boolean): Node}} options
   *   fetch gets the filter's values with page and limit; empty gets whether a filter is set.
   */
  constructor(options) {
    Object.assign(this, options);
    this.page = 1;
    this.turn = 0;
    this.#readAddress();
    this.#addMore();
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", debounce(() => this.#changed(), 250));
  }

  get values() {
    const fields = [...this.form.elements].filter((field) => field.name && field.value !== "");
    return Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]));
  }

  /** Load the page that is wanted now. A slower answer to an older question is dropped. */
  async load() {
    this.turn += 1;
    const turn = this.turn;
    this.place.setAttribute("aria-busy", "true");
    try {
      const { items, pagination } = await this.fetch({ ...this.values, page: this.page, limit: PAGE_LIMIT });
      if (turn !== this.turn) return;
      if (items.length === 0 && this.page > 1) {
        this.#go(1);
        return;
      }
      const isFiltered = Object.keys(this.values).length > 0;
      if (items.length === 0) this.place.replaceChildren(this.empty(isFiltered));
      else this.place.replaceChildren(this.draw(items), this.#foot(pagination));
    } catch (error) {
      if (turn === this.turn) this.place.replaceChildren(failure(error, () => this.load()));
    }
    this.place.setAttribute("aria-busy", "false");
  }

  /** On a narrow screen the filters besides the first wait behind a button. */
  #addMore() {
    const others = [...this.form.querySelectorAll(".filter:not(.grow) [name]")];
    const first = this.form.querySelector(".filter.grow");
    if (others.length === 0 || first === null) return;
    const button = el("button", { class: "button filters-more", type: "button", "aria-expanded": "false" });
    const say = () => {
      const set = others.filter((field) => field.value !== "").length;
      button.textContent = set === 0 ? "Filters" : `Filters (${set})`;
    };
    button.addEventListener("click", () => button.setAttribute("aria-expanded", String(this.form.classList.toggle("open"))));
    this.form.addEventListener("input", say);
    first.after(button);
    say();
  }

  #readAddress() {
    const address = new URLSearchParams(location.search);
    for (const field of this.form.elements) {
      const wanted = field.name ? address.get(field.name) : null;
      if (wanted === null) continue;
      field.dataset.wanted = wanted;
      field.value = wanted;
    }
    this.page = Math.max(1, Number.parseInt(address.get("page") ?? "1", 10) || 1);
  }

  #changed() {
    for (const field of this.form.elements) if (field.name) field.dataset.wanted = field.value;
    this.#go(1);
  }

  #go(page) {
    this.page = page;
    const shown = page > 1 ? { ...this.values, page } : this.values;
    history.replaceState(null, "", location.pathname + query(shown));
    this.load();
  }

  #foot({ page, pages, total, limit }) {
    const first = (page - 1) * limit + 1;
    const text = `${count(first)}–${count(Math.min(total, page * limit))} of ${count(total)}`;
    const foot = el("div", { class: "list-foot" }, el("span", { role: "status", text }));
    if (pages > 1) {
      foot.append(
        el("button", { class: "button small", type: "button", text: "Previous", disabled: page <= 1, on: { click: () => this.#go(page - 1) } }),
        el("button", { class: "button small", type: "button", text: "Next", disabled: page >= pages, on: { click: () => this.#go(page + 1) } }),
      );
    }
    return foot;
  }
}
