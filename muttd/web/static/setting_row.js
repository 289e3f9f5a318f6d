// One setting: its value with unit and bounds, where it comes from, who changed it, its history.

import { api, query } from "./api.js";
import { el } from "./dom.js";
import { count, visible } from "./format.js";
import { momentNode } from "./moment.js";
import { toast } from "./shell.js";

const isNumber = (setting) => setting.type !== "text";

/** 86 400 seconds say little, "1 d" says it: durations of an hour and more in both. */
export function valueInWords(setting, value = setting.value) {
  if (!isNumber(setting)) return `“${value}”`;
  const long = setting.unit === "seconds" && value >= 3600 ? ` (${value >= 86_400 ? `${+(value / 86_400).toFixed(1)} d` : `${+(value / 3600).toFixed(1)} h`})` : "";
  const unit = value === 1 ? setting.unit?.replace(/s$/, "") : setting.unit;
  return `${count(value)}${unit ? ` ${unit}` : ""}${long}`;
}

function bounds({ at_least: least, at_most: most }) {
  if (least === null && most === null) return "";
  if (most === null) return `At least ${count(least)}.`;
  return least === null ? `At most ${count(most)}.` : `${count(least)} to ${count(most)}.`;
}

export class SettingRow {
  /**
   * @param {Object} setting As GET /api/v2/config gives it.
   * @param {{mayChange: boolean}} options
   */
  constructor(setting, { mayChange }) {
    this.mayChange = mayChange;
    this.node = el("form", { class: "setting", novalidate: true });
    this.node.addEventListener("submit", (event) => this.#save(event));
    this.node.addEventListener("input", () => this.#edited());
    this.#show(setting);
  }

  #show(setting) {
    this.setting = setting;
    const { key } = setting;
    const field = { class: "input", id: `s-${key}`, name: "value", value: setting.value, autocomplete: "off", spellcheck: "false", disabled: !this.mayChange, "aria-describedby": `s-${key}-help s-${key}-error` };
    if (isNumber(setting)) field.inputmode = "decimal";
    this.input = el("input", field);
    this.error = el("p", { class: "field-error", id: `s-${key}-error`, hidden: true });
    this.reason = el("input", { class: "input", name: "change_reason", "aria-label": `Why you change ${key}`, placeholder: "Why (kept in the audit)", maxlength: 1000, autocomplete: "off" });
    this.saving = el(
      "div",
      { class: "setting-save", hidden: true },
      this.reason,
      el("button", { class: "button primary", text: "Save" }),
      el("button", { class: "button", type: "button", text: "Cancel", on: { click: () => this.#cancel() } }),
    );
    this.node.replaceChildren(
      el("div", { class: "setting-what" }, el("label", { class: "mono strong", for: `s-${key}`, text: key }), el("p", { id: `s-${key}-help`, text: setting.text }), el("p", { class: "sub", text: `${bounds(setting)} Default: ${valueInWords(setting, setting.default)}.`.trim() })),
      el("div", { class: "field setting-value" }, el("div", { class: "with-unit" }, this.input, setting.unit ? el("span", { class: "unit", text: setting.unit }) : null), this.error, this.saving),
      el("div", { class: "setting-state" }, this.#source(), this.#history()),
    );
    this.node.classList.remove("invalid");
  }

  #source() {
    const { source, key, changed_by: by, changed_at: at, environment_name: name } = this.setting;
    if (source === "default") return el("p", { class: "sub", text: "At its default" });
    if (source === "environment") return el("p", { class: "sub" }, "Set by ", el("code", { text: name }));
    const reset = el("button", { class: "button small", type: "button", text: "Reset", "aria-label": `Reset ${key}`, on: { click: () => this.#write("DELETE") } });
    return el("div", {}, el("p", {}, el("span", { class: "badge warn", text: "Changed" })), el("p", { class: "sub" }, `by ${visible(by ?? "")}, `, momentNode(at)), this.mayChange ? reset : null);
  }

  #history() {
    const list = el("div", { class: "setting-history" });
    const more = el("details", { class: "more" }, el("summary", { text: "History", "aria-label": `History of ${this.setting.key}` }), list);
    more.addEventListener("toggle", () => {
      if (more.open) this.#loadHistory(list);
    });
    return more;
  }

  async #loadHistory(list) {
    try {
      const { changes } = await api(`/api/v2/config/${this.setting.key}/history${query({ limit: 20 })}`);
      const items = changes.map((change) => {
        const now = change.new_value === null ? "back to the default" : valueInWords(this.setting, change.new_value.value);
        return el("li", {}, momentNode(change.changed_at), ` ${visible(change.changed_by)}: `, el("strong", { text: now }), change.reason ? el("span", { class: "sub", text: ` ${visible(change.reason)}` }) : null);
      });
      list.replaceChildren(items.length === 0 ? el("p", { class: "sub", text: "Never changed." }) : el("ol", {}, ...items));
    } catch (error) {
      list.replaceChildren(el("p", { class: "field-error", text: error.message }));
    }
  }

  get #wanted() {
    const text = this.input.value.trim();
    // What is no number goes as it is: the daemon says what is wrong with it.
    return isNumber(this.setting) && text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
  }

  #edited() {
    this.saving.hidden = this.#wanted === this.setting.value;
  }

  #cancel() {
    this.#show(this.setting);
    this.input.focus();
  }

  #save(event) {
    event.preventDefault();
    if (this.mayChange && this.#wanted !== this.setting.value) this.#write("PUT");
  }

  async #write(method) {
    const { key } = this.setting;
    const reason = this.reason.value.trim() || undefined;
    try {
      if (method === "PUT") await api(`/api/v2/config/${key}`, { method, body: { value: this.#wanted, change_reason: reason } });
      else await api(`/api/v2/config/${key}${query({ change_reason: reason })}`, { method });
      this.#show(await api(`/api/v2/config/${key}`));
      toast(`${key} is ${valueInWords(this.setting)} now, on every daemon within a second.`);
      this.input.focus();
    } catch (error) {
      this.error.textContent = error.details?.map((detail) => detail.message).join(" ") || error.message;
      this.error.hidden = false;
      this.node.classList.add("invalid");
      this.input.setAttribute("aria-invalid", "true");
      this.input.focus();
    }
  }
}
