// The websocket of the Live page: it connects, and connects again.
//
//   connecting --open--> live --close, or silence--> lost --backoff--> connecting

import { api } from "./api.js";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
// The daemon speaks once a second. Six missed beats: the way to it is broken, whatever TCP thinks.
const SILENCE_MS = 6000;

export class LiveSocket {
  /**
   * @param {{onOpen: function(): void, onMessage: function(Object): void,
   *          onState: function(string, number): void}} callbacks
   *   onState gets "connecting", "live" or "lost", and the wait in ms before the next attempt.
   */
  constructor(callbacks) {
    this.callbacks = callbacks;
    this.socket = null;
    this.attempts = 0;
    this.retryTimer = 0;
    this.heardAt = 0;
    this.mayBeSilent = false;
    window.addEventListener("online", () => this.retryNow());
    setInterval(() => this.#checkSilence(), 1000);
  }

  connect() {
    clearTimeout(this.retryTimer);
    this.callbacks.onState("connecting", 0);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v2/live`);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.addEventListener("open", () => {
      if (socket !== this.socket) return;
      this.attempts = 0;
      this.heardAt = performance.now();
      this.callbacks.onState("live", 0);
      this.callbacks.onOpen();
    });
    socket.addEventListener("message", (message) => {
      if (socket !== this.socket) return;
      this.heardAt = performance.now();
      this.callbacks.onMessage(JSON.parse(message.data));
    });
    socket.addEventListener("close", () => {
      if (socket === this.socket) this.#lost();
    });
  }

  get isOpen() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.isOpen) this.socket.send(JSON.stringify(message));
  }

  retryNow() {
    if (this.socket === null) this.connect();
  }

  #lost() {
    this.socket = null;
    const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempts);
    // Jitter: a restarted daemon is not met by all its browsers in the same instant.
    const wait_ms = ceiling / 2 + Math.random() * (ceiling / 2);
    this.attempts += 1;
    this.callbacks.onState("lost", wait_ms);
    this.retryTimer = setTimeout(() => this.connect(), wait_ms);
    // A refused handshake does not tell a page why. If it was the session, this call finds out.
    if (this.attempts > 1) api("/api/v2/status").catch(() => {});
  }

  #checkSilence() {
    if (this.socket === null || this.mayBeSilent) return;
    if (performance.now() - this.heardAt > SILENCE_MS) {
      const silent = this.socket;
      this.#lost();
      silent.close();
    }
  }
}
