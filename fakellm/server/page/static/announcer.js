// Reads to a screen reader what came, in one sentence at most every five seconds.

import { count } from "./dom.js";

const PAUSE = 5_000;

/** Announces requests in an element that is a live region. */
export class Announcer {
  constructor(element) {
    this.#element = element;
  }

  #element;
  #requests = 0;
  #unmatched = 0;
  #timer = null;

  /** Counts requests that came. */
  add(entries) {
    this.#requests += entries.length;
    this.#unmatched += entries.filter((entry) => !entry.matched).length;
    if (this.#requests) this.#timer ??= setTimeout(() => this.#announce(), PAUSE);
  }

  #announce() {
    const without = this.#unmatched ? `, ${this.#unmatched} without a rule` : "";
    this.#element.textContent = `${count(this.#requests, "new request")}${without}`;
    this.#requests = this.#unmatched = 0;
    this.#timer = null;
  }
}
