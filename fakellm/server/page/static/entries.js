// Keeps the requests that the page shows, of all sessions, as the server's events change them. Knows no element.

const MOST = 10_000;

/** A request's key: its number counts in its session alone. */
export function keyOf({ session, number }) {
  return `${session}#${number}`;
}

/** The requests, in the order in which they came, and which of them a filter shows. */
export class Entries {
  #all = new Map();
  #pending = new Map();
  #forget = new Set();

  constructor() {
    this.filter = { text: "", which: "all", session: null };
    this.paused = false;
    this.shown = [];
  }

  get size() {
    return this.#all.size;
  }

  /** How many requests wait for the end of a pause. */
  get waiting() {
    let count = 0;
    for (const key of this.#pending.keys()) count += !this.#all.has(key);
    return count;
  }

  get(key) {
    return this.#all.get(key);
  }

  /** Takes a new or changed request, which `apply` shows. */
  put(entry) {
    const key = keyOf(entry);
    this.#pending.set(key, entry);
    if (this.#pending.size > MOST) this.#pending.delete(this.#pending.keys().next().value);
  }

  /** Forgets the requests of a session, or all. */
  forget(session = null) {
    for (const [key, entry] of this.#pending) if (session === null || entry.session === session) this.#pending.delete(key);
    for (const [key, entry] of this.#all) if (session === null || entry.session === session) this.#forget.add(key);
  }

  /** Shows what has changed since the last call, except in a pause; returns the keys of what changed and the requests
   * that were added, or null if nothing changed. */
  apply() {
    if (this.paused || (!this.#pending.size && !this.#forget.size)) return null;
    const changed = new Set([...this.#forget, ...this.#pending.keys()]);
    for (const key of this.#forget) this.#all.delete(key);
    const added = [];
    for (const [key, entry] of this.#pending) {
      const kept = { ...entry, key, text: searched(entry) };
      if (!this.#all.has(key)) added.push(kept);
      this.#all.set(key, kept);
    }
    this.#forget.clear();
    this.#pending.clear();
    for (const key of this.#all.keys()) {
      if (this.#all.size <= MOST) break;
      this.#all.delete(key);
    }
    this.refilter();
    return { changed, added };
  }

  /** Finds again what the filter shows. */
  refilter() {
    const { text, which, session } = this.filter;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (const entry of this.#all.values()) {
      if (session !== null && entry.session !== session) continue;
      if (!KINDS[which](entry)) continue;
      if (words.every((word) => entry.text.includes(word))) found.push(entry);
    }
    this.shown = found;
  }
}

/** Whether a reply is under way. */
export function underWay({ outcome }) {
  return outcome === "sending" || outcome === "stalled";
}

const KINDS = {
  all: () => true,
  unmatched: (entry) => !entry.matched,
  failed: (entry) => entry.status >= 400 || entry.fault !== null || ["reset", "closed", "stalled"].includes(entry.outcome),
  "under way": underWay,
};

function searched(entry) {
  const { method, path, api, model, user, rule, fault, status, outcome, session } = entry;
  return [method, path, api, model, user, rule, fault, status, outcome, session].filter(Boolean).join("\n").toLowerCase();
}
