// Operators' MIBs, and how bad their traps are.

import { api, upload } from "./api.js";
import { byId, el } from "./dom.js";
import { count, visible } from "./format.js";
import { emptyState, failure, makeTable } from "./list.js";
import { momentNode } from "./moment.js";
import { clearErrors, showErrors } from "./rule_form.js";
import { confirm, toast } from "./shell.js";

const mayChange = ["operator", "admin"].includes(document.body.dataset.role);
const STATES = {
  in_force: { kind: "ok", text: "In force" },
  incomplete: { kind: "warn", text: "▲ Incomplete" },
  outdated: { kind: "warn", text: "▲ Last good version" },
  broken: { kind: "bad", text: "▲ Broken" },
  waiting: { kind: "", text: "Waiting" },
};

function withActions(columns, cell) {
  return mayChange ? [...columns, { label: "Actions", isLabelHidden: true, cell }] : columns;
}

/** A list that is loaded, drawn, and loaded again after each change. */
async function show(place, fetch, draw) {
  try {
    place.replaceChildren(draw(await fetch()));
  } catch (error) {
    place.replaceChildren(failure(error, () => show(place, fetch, draw)));
  }
  place.setAttribute("aria-busy", "false");
}

async function remove(what, path, gone, again) {
  if (!(await confirm({ title: `Remove ${what}?`, text: gone, action: "Remove" }))) return;
  try {
    await api(path, { method: "DELETE" });
    toast(`${what} is removed.`);
  } catch (error) {
    toast(`${what} was not removed: ${error.message}`, "error");
  }
  await again();
}

function complaints(mib) {
  const lines = mib.error === null ? [] : [mib.error];
  for (const module of mib.modules) {
    if (module.missing.length > 0) lines.push(`${module.name} needs ${module.missing.join(", ")}`);
    lines.push(...module.problems.map((problem) => `${module.name}: ${problem}`));
  }
  return lines.slice(0, 6).map((line) => el("div", { class: "sub", text: visible(line) }));
}

const mibColumns = withActions(
  [
    { label: "Name", cell: (mib) => el("div", {}, el("span", { class: "mono strong", text: visible(mib.name) }), ...mib.modules.filter((module) => module.name !== mib.name).map((module) => el("div", { class: "sub", text: visible(module.name) }))) },
    { label: "State", cell: (mib) => el("div", {}, el("span", { class: `badge ${STATES[mib.state]?.kind ?? ""}`, text: STATES[mib.state]?.text ?? mib.state }), ...complaints(mib)) },
    { label: "From", cell: (mib) => (mib.origin === "uploaded" ? el("div", {}, momentNode(mib.uploaded_at), el("div", { class: "sub", text: `by ${visible(mib.uploaded_by ?? "")}` })) : "MIB directory") },
    { label: "Octets", class: "number", cell: (mib) => count(mib.octets) },
  ],
  (mib) => (mib.origin === "uploaded" ? el("div", { class: "row-actions" }, el("button", { class: "button small", type: "button", text: "Remove", "aria-label": `Remove ${visible(mib.name)}`, on: { click: () => remove(visible(mib.name), `/api/v2/mibs/${encodeURIComponent(mib.name)}`, "Its OIDs are numbers again, in events to come.", loadMibs) } })) : ""),
);

function loadMibs() {
  const empty = () => emptyState("No MIBs of your own", el("p", { text: "Upload one, or drop it into the MIB directory of a daemon, and the OIDs of that vendor have names." }));
  return show(byId("mib-list"), async () => (await api("/api/v2/mibs")).mibs, (mibs) => (mibs.length === 0 ? empty() : makeTable("MIBs", mibColumns, mibs)));
}

const severityColumns = withActions(
  [
    { label: "Trap", cell: (entry) => el("div", {}, el("span", { class: "mono", text: visible(entry.name) }), entry.name === entry.trap_oid ? null : el("div", { class: "sub mono", text: entry.trap_oid })) },
    { label: "Severity", cell: (entry) => el("span", { class: `severity sev-${entry.severity}`, text: entry.severity_name }) },
  ],
  (entry) => el("div", { class: "row-actions" }, el("button", { class: "button small", type: "button", text: "Remove", "aria-label": `Remove ${visible(entry.name)}`, on: { click: () => remove(visible(entry.name), `/api/v2/trap-severities/${entry.trap_oid}`, "The MIB decides again how bad this trap is.", loadSeverities) } })),
);

function loadSeverities() {
  const empty = () => emptyState("As the MIBs say", el("p", { text: "A link that goes down is an err, most others are a notice. Say here what is worse, or less bad, in your network." }));
  return show(byId("severity-list"), async () => (await api("/api/v2/trap-severities")).trap_severities, (entries) => (entries.length === 0 ? empty() : makeTable("Severities of traps", severityColumns, entries)));
}

function onSubmit(form, send) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearErrors(form);
    try {
      toast(await send(form));
      form.reset();
    } catch (error) {
      const homeless = showErrors(form, error.details ?? []);
      if (homeless.length > 0 || !error.details?.length) toast(error.message, "error");
    }
  });
}

onSubmit(byId("mib-form"), async (form) => {
  const file = form.elements.file.files[0];
  const mib = await upload("/api/v2/mibs", file ?? new Blob([]));
  await loadMibs();
  return `${mib.name} is ${mib.state === "in_force" ? "in force" : (STATES[mib.state]?.text ?? mib.state).toLowerCase()}.`;
});
onSubmit(byId("severity-form"), async (form) => {
  const oid = form.elements.trap_oid.value.trim();
  const entry = await api(`/api/v2/trap-severities/${encodeURIComponent(oid || "none")}`, { method: "PUT", body: { severity: Number(form.elements.severity.value) } });
  await loadSeverities();
  return `${entry.name} is ${entry.severity_name} now.`;
});
loadMibs();
loadSeverities();
