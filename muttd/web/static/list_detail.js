// The event panel on list pages: a link in each row opens it, Escape closes it, the focus goes back.

import { el } from "./dom.js";

export class DetailOpener {
  /**
   * @param {HTMLElement} panel
   * @param {typeof import("./event_detail.js").EventDetail} Detail
   */
  constructor(panel, Detail) {
    this.from = null;
    this.detail = new Detail(panel, {
      onClose: () => this.from?.focus({ preventScroll: true }),
      mayChange: ["operator", "admin"].includes(document.body.dataset.role),
    });
    this.detail.closeOnEscape();
  }

  /** A link to the event: opened here, or in a tab of its own if the person asks for that. */
  link(eventId, content) {
    const link = el("a", { href: `/live?event=${encodeURIComponent(eventId)}` }, content);
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      this.from = link;
      this.detail.open(eventId);
    });
    return link;
  }
}
