// Shows one request: its facts, and tabs of which one is loaded at a time. While the reply is sent, the answer grows.

import { Answer } from "./answer.js";
import { step } from "./control.js";
import { conversationElement } from "./conversation.js";
import { button, h, show } from "./dom.js";
import { underWay } from "./entries.js";
import { rawElement } from "./raw.js";
import { progressOf, ruleOf, statusOf } from "./row.js";
import { ruleElement } from "./rule.js";
import { json } from "./server.js";
import { whyElement } from "./why.js";
import { Wire } from "./wire.js";

/** The tabs of a request, by the names that its address has. */
export const TABS = { conversation: "Conversation", wire: "Wire", why: "Why", raw: "Raw", rule: "Make a rule" };

/** Leaves out the tabs about rules. */
export function withoutRules() {
  delete TABS.why;
  delete TABS.rule;
}

/** The view of a request. `update` takes its summary whenever that has changed; `select` shows another tab. */
export class Detail {
  constructor(summary, { onTab }) {
    this.summary = summary;
    this.tab = null;
    this.#facts = h("div", { class: "summary" });
    this.#tabs = Object.fromEntries(Object.entries(TABS).map(([name, label]) => [name, tabElement(name, label, onTab)]));
    this.#steps = h("p", { class: "buttons" }, button("Release the next frame", () => this.step(1), { key: "n" }), button("Release all", () => this.step("all"), { key: "N" }));
    this.#panel = h("div", { id: "panel", role: "tabpanel", tabindex: "0" });
    this.element = h(
      "div",
      { class: "request" },
      h("a", { class: "back", href: "#/" }, "← Requests"),
      this.#facts,
      this.#steps,
      h("div", { role: "tablist", "aria-label": "Views of the request", onkeydown: (event) => this.#key(event, onTab) }, Object.values(this.#tabs)),
      this.#panel,
    );
    this.#showFacts();
  }

  #facts;
  #steps;
  #tabs;
  #panel;
  #loading = null;
  #answer = null;
  #wire = null;
  #shown = 0;
  #message = "";

  /** Shows a tab. */
  async select(name) {
    this.tab = name;
    for (const [each, element] of Object.entries(this.#tabs)) {
      element.setAttribute("aria-selected", each === name);
      element.tabIndex = each === name ? 0 : -1;
    }
    this.#panel.setAttribute("aria-labelledby", `tab-${name}`);
    await this.#load();
  }

  /** Takes a new summary: more frames have been sent, or the reply has ended. */
  update(summary) {
    const before = this.summary;
    this.summary = summary;
    this.#showFacts();
    const unknown = (this.#answer || this.tab === "wire") && !this.#wire && !this.#answer?.frames.length;
    if (unknown && (summary.frames !== before.frames || underWay(before) !== underWay(summary))) this.#load();
    else this.#grow();
  }

  /** The rules of a session have changed: how they compare may have changed too. */
  rulesChanged() {
    if (this.tab === "why") this.#load();
  }

  /** Releases frames of this reply. */
  async step(frames) {
    const { session, number } = this.summary;
    this.#message = await step(frames, session, number).then(() => "", (refusal) => refusal.message);
    this.#showFacts();
  }

  async #load() {
    const { session, number } = this.summary;
    const tab = this.tab;
    if (!tab || (tab === "rule" && this.#loading === "rule")) return; // what one is editing stays
    this.#loading = tab;
    try {
      const shown = await this.#view(tab, session, number);
      if (this.tab !== tab) return;
      show(this.#panel, shown);
    } catch (refusal) {
      if (this.tab !== tab) return;
      this.#loading = null;
      show(this.#panel, h("p", { class: "problem" }, refusal.message));
    }
    this.#grow();
  }

  async #view(tab, session, number) {
    this.#answer = this.#wire = null;
    this.#shown = 0;
    const route = `requests/${number}`;
    if (tab === "why") return whyElement(await json("GET", `${route}/why`, { session }));
    if (tab === "rule") {
      const [{ yaml, note }, { files }] = await Promise.all([json("GET", `${route}/rule`, { session }), json("GET", "file", { session }).catch(() => ({ files: [] }))]);
      return ruleElement({ session, number, rule: yaml, note, files });
    }
    const detail = await json("GET", route, { session });
    if (tab === "raw") return rawElement({ ...detail, session, number });
    if (tab === "wire") {
      if (!detail.wire) return h("p", { class: "note" }, detail.missing);
      this.#wire = new Wire(detail.wire);
      return this.#wire.element;
    }
    this.#answer = { shown: new Answer(), frames: detail.wire?.frames ?? [] };
    if (!detail.conversation) return [h("p", { class: "note" }, "This is not a valid request to a model."), this.#answer.shown.element];
    if (!detail.wire) this.#answer.shown.element.append(h("p", { class: "note" }, detail.missing));
    return conversationElement(detail.conversation, this.#answer.shown);
  }

  /** Shows what has been sent since the last call. */
  #grow() {
    const sent = this.summary.frames_sent;
    this.#wire?.update(sent);
    if (!this.#answer) return;
    for (const frame of this.#answer.frames.slice(this.#shown, sent)) this.#answer.shown.add(frame.adds);
    this.#shown = Math.max(sent, this.#shown);
  }

  #showFacts() {
    const { number, method, path, matched, explanation, stepped, frames, frames_sent: sent } = this.summary;
    this.#steps.hidden = !(stepped && underWay(this.summary) && sent < frames);
    show(
      this.#facts,
      h("h2", {}, `#${number} `, h("span", { class: "path" }, `${method} ${path}`)),
      h("p", { class: "facts" }, statusOf(this.summary), h("span", { class: matched ? "rule" : "rule none" }, ruleOf(this.summary)), h("span", {}, progressOf(this.summary))),
      this.#message && h("p", { class: "problem" }, this.#message),
      explanation && h("p", { class: "explanation" }, explanation),
    );
  }

  #key(event, onTab) {
    const names = Object.keys(TABS);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const name = names[(names.indexOf(this.tab) + by + names.length) % names.length];
    onTab(name);
    this.#tabs[name].focus();
  }
}

function tabElement(name, label, onTab) {
  return h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", class: name === "rule" ? "tab primary" : "tab", onclick: () => onTab(name) }, label);
}
