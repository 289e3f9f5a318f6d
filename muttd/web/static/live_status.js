// The daemon's books beside the stream: what waits in the queue, how long, and what was lost.

import { byId } from "./dom.js";
import { count, duration } from "./format.js";

/** Show them, as the status document has them. */
export function showBooks(status) {
  const { items, oldest_age_s: age_s } = status.queue.ingest;
  const share = status.queue.limit ? (items ?? 0) / status.queue.limit : 0;
  const queue = byId("queue");
  queue.textContent = items === null ? "?" : count(items);
  byId("queue-age").textContent = items === null ? "the queue does not answer" : items > 0 && age_s ? `oldest ${duration(age_s)}` : "";
  queue.closest(".stat").dataset.kind = items === null || share > 0.8 ? "bad" : share > 0.2 ? "warn" : "";
  const spool = byId("spooled");
  spool.hidden = !status.spool?.since;
  if (status.spool?.since) spool.textContent = `${count(status.spool.events)} waiting on disk`;
  const lost = { kernel: 0, dropped: 0, refused: 0 };
  for (const listener of status.listeners) {
    lost.kernel += listener.kernel_dropped ?? 0;
    lost.dropped += listener.dropped ?? 0;
    lost.refused += listener.refused ?? 0;
  }
  const total = lost.kernel + lost.dropped;
  const drops = byId("drops");
  drops.textContent = total === 0 ? "0" : `▲ ${count(total)}`;
  const stat = drops.closest(".stat");
  stat.dataset.kind = total === 0 ? "" : "bad";
  stat.title = `Since the daemon started: ${count(lost.kernel)} dropped by the kernel, ${count(lost.dropped)} by muttd; ${count(lost.refused)} refused`;
}
