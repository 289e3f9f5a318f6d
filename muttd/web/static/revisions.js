// What a rule was, who made it so, and the way back.

import { api, query } from "./api.js";
import { byId, el } from "./dom.js";
import { diffList } from "./diff.js";
import { visible } from "./format.js";
import { momentNode } from "./moment.js";
import { confirm, toast } from "./shell.js";

const SHOWN = 20;

function item(revision, before, restore) {
  const button = restore === null ? null : el("button", { class: "button small", type: "button", text: "Restore", "aria-label": `Restore revision ${revision.revision}`, on: { click: () => restore(revision.revision) } });
  const head = el("div", { class: "card-head" }, el("span", {}, el("strong", { text: `Revision ${revision.revision}` }), ` by ${visible(revision.changed_by)}, `, momentNode(revision.changed_at)), button);
  return el("li", {}, head, before === undefined ? el("p", { class: "sub muted", text: "The oldest that is kept here." }) : diffList(before.rule, revision.rule));
}

/**
 * Show the revisions of a rule.
 * @param {string} ruleId
 * @param {boolean} mayChange
 */
export async function showRevisions(ruleId, mayChange) {
  const card = byId("revisions");
  const path = `/api/v2/rules/${ruleId}`;
  let revisions = [];
  try {
    ({ revisions } = await api(`${path}/revisions${query({ limit: SHOWN })}`));
  } catch {
    // The form says what is wrong; without a history it still works.
    return;
  }
  const restore = async (revision) => {
    const agreed = await confirm({ title: `Go back to revision ${revision}?`, text: "The rule becomes what it was then, as a new revision. What it has matched since stays in the audit.", action: "Restore" });
    if (!agreed) return;
    try {
      await api(`${path}/restore`, { method: "POST", body: { revision } });
      location.reload();
    } catch (error) {
      toast(`Not restored: ${error.message}`, "error");
    }
  };
  const items = revisions.map((each, at) => item(each, revisions[at + 1], mayChange && at > 0 ? restore : null));
  card.replaceChildren(el("h2", { id: "revisions-title", text: "History" }), el("ol", { class: "revisions" }, ...items));
  card.hidden = false;
}
