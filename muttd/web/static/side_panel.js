// A panel beside a list: it takes the focus, keeps it when its content changes, and gives it back.

import { el, isDialogOpen, isTyping } from "./dom.js";

const BENEATH = ".top, .live-head, .live-overview, .stream-frame, .page-head, .tabs, .list-filters, .bulk, #list";

export class SidePanel {
  /**
   * @param {HTMLElement} panel
   * @param {function(): void} onClose Called after it was closed; it may move the focus.
   */
  constructor(panel, onClose) {
    this.panel = panel;
    this.onClose = onClose;
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  /** Open it, or let it begin anew. */
  unfold(takeFocus = true) {
    this.panel.hidden = false;
    // On a narrow screen the panel covers everything; what lies beneath must not take focus.
    this.#cover(true);
    this.panel.scrollTop = 0;
    if (takeFocus) this.panel.focus({ preventScroll: true });
  }

  close() {
    if (!this.isOpen) return;
    this.panel.hidden = true;
    this.panel.replaceChildren();
    this.#cover(false);
    this.onClose();
  }

  /** Show a title and parts; what had the focus before has it afterwards. */
  fill(title, ...parts) {
    const focused = document.activeElement;
    const hadFocus = this.panel.contains(focused);
    const wasOn = hadFocus && focused !== this.panel ? focused.textContent : null;
    this.panel.replaceChildren(this.#head(title), ...parts);
    if (!hadFocus || this.panel.contains(document.activeElement)) return;
    const same = wasOn === null ? undefined : [...this.panel.querySelectorAll("a, button, summary")].find((node) => node.textContent === wasOn);
    (same ?? this.panel).focus({ preventScroll: true });
  }

  /** Esc closes it, on pages that do nothing else with Esc. */
  closeOnEscape() {
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || isTyping(event) || isDialogOpen() || !this.isOpen) return;
      this.close();
      event.preventDefault();
    });
  }

  #cover(isOpen) {
    const covered = isOpen && window.matchMedia("(max-width: 760px)").matches;
    for (const node of document.querySelectorAll(BENEATH)) node.inert = covered;
  }

  #head(title) {
    const close = el("button", { class: "button small", type: "button", text: "Close", "aria-keyshortcuts": "Escape", on: { click: () => this.close() } });
    return el("div", { class: "detail-head" }, el("h2", { text: title }), close);
  }
}
