// A moment in a list: the time alone when it was today, with the date on other days, all of it in
// the title.

import { el } from "./dom.js";
import { fullTime, shortTime } from "./format.js";

export function momentNode(iso) {
  if (!iso) return el("span", { class: "muted", text: "never" });
  const [clock, milliseconds] = shortTime(new Date(iso));
  const title = `${fullTime(iso)}\n${iso} UTC`;
  return el("time", { class: "time", datetime: iso, title }, clock, el("span", { class: "milliseconds", text: milliseconds }));
}
