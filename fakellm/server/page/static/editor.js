// An editor for YAML, which the server checks while one types: each problem is shown with its line.

import { count, h, show } from "./dom.js";
import { json } from "./server.js";

const PAUSE = 250;
let made = 0;

/** An editor. `onCheck` is called with whether the text has no problems; then `text` may be sent. */
export class Editor {
  constructor({ label, text = "", session, onCheck = () => {} }) {
    made += 1;
    this.#session = session;
    this.#onCheck = onCheck;
    this.#problems = h("ul", { class: "problems", id: `problems-${made}`, "aria-live": "polite" });
    this.#gutter = h("pre", { class: "gutter", "aria-hidden": "true" });
    this.#area = h("textarea", {
      "aria-label": label,
      "aria-describedby": `problems-${made}`,
      spellcheck: "false",
      autocapitalize: "off",
      wrap: "off",
      oninput: () => this.#changed(),
      onscroll: () => (this.#gutter.scrollTop = this.#area.scrollTop),
      onkeydown: (event) => this.#key(event),
    });
    this.element = h("div", { class: "editor" }, h("div", { class: "area" }, this.#gutter, this.#area), this.#problems);
    this.text = text;
  }

  #session;
  #onCheck;
  #problems;
  #gutter;
  #area;
  #timer;
  #checks = 0;

  get text() {
    return this.#area.value;
  }

  set text(text) {
    this.#area.value = text;
    this.#changed(0);
  }

  /** Shows problems; without any, that there are none. */
  report(problems, fine = "") {
    const lines = this.text.split("\n").length;
    this.#area.rows = Math.min(Math.max(lines + 1, 6), 24);
    const bad = new Map(problems.map((problem) => [problem.line, problem]));
    show(this.#gutter, Array.from({ length: lines }, (_, at) => h("span", { class: bad.has(at + 1) ? "bad" : "" }, `${at + 1}\n`)));
    this.#area.setAttribute("aria-invalid", problems.length > 0);
    show(
      this.#problems,
      problems.map(({ line, column, message }) =>
        h("li", { class: "problem" }, line ? h("button", { type: "button", onclick: () => this.#goTo(line, column) }, `Line ${line}`) : null, ` ${message}`),
      ),
      !problems.length && fine && h("li", {}, fine),
    );
  }

  #changed(pause = PAUSE) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), pause);
  }

  async #check() {
    const check = (this.#checks += 1);
    const text = this.text;
    if (!text.trim()) {
      this.report([]);
      this.#onCheck(false);
      return;
    }
    let found;
    try {
      found = await json("POST", "check", { session: this.#session, body: text });
    } catch (refusal) {
      found = { problems: [{ line: null, message: refusal.message }] };
    }
    if (check !== this.#checks) return;
    this.report(found.problems, found.rules === null ? "" : `${count(found.rules, "rule")}, no problems.`);
    this.#onCheck(!found.problems.length);
  }

  #goTo(line, column) {
    const lines = this.text.split("\n").slice(0, line - 1);
    const at = lines.reduce((sum, each) => sum + each.length + 1, 0) + Math.max((column ?? 1) - 1, 0);
    this.#area.focus();
    this.#area.setSelectionRange(at, at);
  }

  /** A new line begins as deep as the one before it. */
  #key(event) {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.isComposing) return;
    const { selectionStart: start, value } = this.#area;
    const line = value.slice(value.lastIndexOf("\n", start - 1) + 1, start);
    const [, spaces, item] = line.match(/^( *)(- )?/);
    const deeper = /[:|>]-?$/.test(line.trimEnd()) ? 2 : 0;
    const indent = " ".repeat(spaces.length + (item ? 2 : 0) + deeper);
    if (!indent) return;
    event.preventDefault();
    this.#area.setRangeText(`\n${indent}`, start, this.#area.selectionEnd, "end");
    this.#changed();
  }
}
