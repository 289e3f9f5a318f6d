// Development hosts, and whose a device is.

import { api } from "./api.js";
import { byId, el } from "./dom.js";
import { duration, SEVERITIES, visible } from "./format.js";
import { emptyState, failure, makeTable } from "./list.js";
import { clearErrors, showErrors } from "./rule_form.js";
import { confirm, toast } from "./shell.js";

const mayChange = ["operator", "admin"].includes(document.body.dataset.role);

class Entries {
  /**
   * @param {{place: HTMLElement, form: HTMLFormElement|null, path: string, key: string, label: string,
   *          columns: Object[], emptyText: string, gone: function(string): string, body?: function(Object): Object}} options
   *   body makes of the form's fields what the API takes.
   */
  constructor(options) {
    this.body = (fields) => fields;
    Object.assign(this, options);
    this.form?.addEventListener("submit", (event) => this.#add(event));
  }

  async load() {
    try {
      const answer = await api(this.path);
      const items = answer[this.key];
      const columns = mayChange ? [...this.columns, { label: "Actions", isLabelHidden: true, cell: (item) => this.#removeButton(item) }] : this.columns;
      this.place.replaceChildren(items.length === 0 ? emptyState(this.emptyTitle, el("p", { text: this.emptyText })) : makeTable(this.label, columns, items));
    } catch (error) {
      this.place.replaceChildren(failure(error, () => this.load()));
    }
    this.place.setAttribute("aria-busy", "false");
  }

  async #add(event) {
    event.preventDefault();
    clearErrors(this.form);
    const body = this.body(Object.fromEntries(new FormData(this.form)));
    try {
      await api(this.path, { method: "POST", body });
      toast(`“${body.hostname}” is added.`);
      this.form.reset();
      this.form.elements.hostname.focus();
      await this.load();
    } catch (error) {
      const homeless = showErrors(this.form, error.details ?? []);
      if (homeless.length > 0 || !error.details?.length) toast(`“${body.hostname}” was not added: ${error.message}`, "error");
    }
  }

  #removeButton(item) {
    const name = visible(item.hostname);
    const button = el("button", { class: "button small", type: "button", text: "Remove", "aria-label": `Remove ${name}`, on: { click: () => this.#remove(item) } });
    return el("div", { class: "row-actions" }, button);
  }

  async #remove(item) {
    const agreed = await confirm({ title: "Remove this entry?", text: this.gone(visible(item.hostname)), action: "Remove entry" });
    if (!agreed) return;
    try {
      await api(`${this.path}/${encodeURIComponent(item.hostname)}`, { method: "DELETE" });
      toast(`“${item.hostname}” is removed.`);
    } catch (error) {
      toast(`“${item.hostname}” was not removed: ${error.message}`, "error");
    }
    await this.load();
  }
}

function teamCell(item) {
  if (!mayChange) return visible(item.team_assignment);
  const field = el("input", { class: "input", value: item.team_assignment, maxlength: 100, "aria-label": `Team of ${visible(item.hostname)}` });
  field.addEventListener("change", async () => {
    try {
      await api(`/api/v2/teams/${encodeURIComponent(item.hostname)}`, { method: "PUT", body: { team_assignment: field.value } });
      toast(`“${item.hostname}” is ${field.value}’s now.`);
      item.team_assignment = field.value;
    } catch (error) {
      toast(`“${item.hostname}” was not changed: ${error.message}`, "error");
      field.value = item.team_assignment;
    }
  });
  return field;
}

new Entries({
  place: byId("dev-list"),
  form: byId("dev-form"),
  path: "/api/v2/dev-hosts",
  key: "hosts",
  label: "Development hosts",
  columns: [{ label: "Host", class: "mono", cell: (item) => visible(item.hostname) }],
  emptyTitle: "Every host is production",
  emptyText: "Add the hosts of your lab, so that a reboot there pages nobody.",
  gone: (name) => `“${name}” counts as production from then on, and pages.`,
}).load();

new Entries({
  place: byId("team-list"),
  form: byId("team-form"),
  path: "/api/v2/teams",
  key: "teams",
  label: "Teams of devices",
  columns: [
    { label: "Device", class: "mono", cell: (item) => visible(item.hostname) },
    { label: "Team", cell: teamCell },
  ],
  emptyTitle: "No device has a team yet",
  emptyText: "Say whose a device is, so that what no rule knows reaches the right people.",
  gone: (name) => `“${name}” has no team of its own from then on.`,
}).load();

new Entries({
  place: byId("expected-list"),
  form: byId("expected-form"),
  path: "/api/v2/expected-sources",
  key: "sources",
  label: "Expected devices",
  columns: [
    { label: "Device", class: "mono", cell: (item) => visible(item.hostname) },
    { label: "Silent after", cell: (item) => duration(item.expect_every_s) },
    { label: "Severity", cell: (item) => el("span", { class: `severity sev-${item.severity}`, text: SEVERITIES[item.severity] }) },
    { label: "Team", cell: (item) => (item.team_assignment ? visible(item.team_assignment) : el("span", { class: "muted", text: "of the device" })) },
  ],
  emptyTitle: "Nobody is missed yet",
  emptyText: "A firewall that says nothing is either very well or dead. Name those that always have something to say.",
  gone: (name) => `Nobody is told any more when “${name}” falls silent.`,
  // What is no number goes as it is: the daemon says what is wrong with it.
  body: ({ expect_every_s: every, severity, team_assignment: team, ...rest }) => ({
    ...rest,
    expect_every_s: /^\d+$/.test(every.trim()) ? Number(every) : every,
    severity: Number(severity),
    ...(team.trim() === "" ? {} : { team_assignment: team }),
  }),
}).load();
