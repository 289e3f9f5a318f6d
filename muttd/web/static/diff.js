// What a change did, field by field: before and after, told by words and signs as well as colour.

import { el } from "./dom.js";
import { visible } from "./format.js";

// They change with every write and say nothing that the change's own row does not say.
const BOOKKEEPING = new Set(["revision", "updated_at", "created_at", "id"]);

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const isAbsent = (value) => value === null || value === undefined || value === "";

/**
 * The fields in which two records differ, in the order in which the newer one has them.
 * @param {Object|null} before null: it did not exist.
 * @param {Object|null} after null: it exists no longer.
 * @returns {{field: string, before: *, after: *}[]} A value that is not there is null.
 */
export function differences(before, after) {
  const fields = new Set([...Object.keys(after ?? {}), ...Object.keys(before ?? {})]);
  const found = [];
  for (const field of fields) {
    if (BOOKKEEPING.has(field)) continue;
    const old = before?.[field];
    const now = after?.[field];
    if ((isAbsent(old) && isAbsent(now)) || JSON.stringify(old) === JSON.stringify(now)) continue;
    found.push({ field, before: isAbsent(old) ? null : old, after: isAbsent(now) ? null : now });
  }
  return found;
}

function value(tag, content) {
  return content === null ? el("span", { class: "muted", text: "nothing" }) : el(tag, { text: visible(asText(content)) });
}

/** The differences as a list: field, what it was, what it is. */
export function diffList(before, after) {
  const found = differences(before, after);
  if (found.length === 0) return el("p", { class: "muted", text: "Saved without a change." });
  const list = el("dl", { class: "diff" });
  for (const { field, before: old, after: now } of found) {
    const both = before !== null && after !== null;
    const sides = both ? [value("del", old), el("span", { class: "diff-arrow", text: " → " }), value("ins", now)] : [after === null ? value("del", old) : value("ins", now)];
    list.append(el("div", {}, el("dt", { text: field }), el("dd", {}, ...sides)));
  }
  return list;
}
