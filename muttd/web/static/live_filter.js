// The filter bar of the Live page: form <-> address <-> what the daemon is asked for.

import { api, query } from "./api.js";
import { byId, debounce, setOptions } from "./dom.js";

const NAMES = ["q", "max_severity", "transport", "hostname", "matched", "rule_id", "team"];

export class LiveFilter {
  /** @param {function(): void} onChange Called when the filter has changed. */
  constructor(onChange) {
    this.form = byId("filters");
    this.onChange = onChange;
    this.values = {};
    this.#readAddress();
    const soon = debounce(() => this.#changed(), 250);
    this.form.addEventListener("input", soon);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#changed();
    });
    this.form.addEventListener("reset", () => setTimeout(() => this.#changed()));
    window.addEventListener("popstate", () => {
      this.#readAddress();
      this.onChange();
    });
    byId("filters-more").addEventListener("click", (event) => {
      const isOpen = byId("filters-rest").classList.toggle("open");
      event.target.setAttribute("aria-expanded", String(isOpen));
    });
    this.#loadChoices();
  }

  get isEmpty() {
    return Object.keys(this.values).length === 0;
  }

  /** For the websocket: numbers and booleans as such. */
  get forSocket() {
    const { max_severity: maxSeverity, rule_id: ruleId, matched, ...rest } = this.values;
    const filter = { ...rest };
    if (maxSeverity !== undefined) filter.max_severity = Number(maxSeverity);
    if (ruleId !== undefined) filter.rule_id = Number(ruleId);
    if (matched !== undefined) filter.matched = matched === "true";
    return filter;
  }

  clear() {
    this.form.reset();
  }

  #readAddress() {
    const address = new URLSearchParams(location.search);
    for (const name of NAMES) {
      const field = this.form.elements[name];
      const wanted = address.get(name) ?? "";
      field.dataset.wanted = wanted;
      field.value = wanted;
    }
    this.#readForm();
    // The choices may not be loaded yet; what the address says counts all the same.
    for (const name of ["rule_id", "team"]) {
      const wanted = this.form.elements[name].dataset.wanted;
      if (wanted) this.values[name] = wanted;
    }
    this.#mark();
  }

  #readForm() {
    this.values = {};
    for (const name of NAMES) {
      const value = this.form.elements[name].value.trim();
      if (value !== "") this.values[name] = value;
    }
  }

  #mark() {
    for (const name of NAMES) this.form.elements[name].closest(".filter").classList.toggle("set", name in this.values);
    byId("filters-clear").hidden = this.isEmpty;
    const more = Object.keys(this.values).filter((name) => name !== "q").length;
    byId("filters-more").textContent = more === 0 ? "Filters" : `Filters (${more})`;
  }

  #changed() {
    const before = JSON.stringify(this.values);
    for (const field of this.form.elements) if (field.name) field.dataset.wanted = field.value;
    this.#readForm();
    if (JSON.stringify(this.values) === before) return;
    this.#mark();
    history.replaceState(null, "", location.pathname + query(this.values));
    this.onChange();
  }

  async #loadChoices() {
    try {
      const { rules } = await api("/api/v2/rules?limit=200");
      setOptions(this.form.elements.rule_id, rules.map((rule) => ({ value: String(rule.id), label: rule.name })));
      const teams = [...new Set(rules.map((rule) => rule.team_assignment))].sort();
      setOptions(this.form.elements.team, teams.map((team) => ({ value: team, label: team })));
    } catch {
      // The stream matters more than its menus; the connection state tells what is wrong.
    }
  }
}
