// Shows an answer as it grows: what each frame adds goes behind what is there. Owns how an answer looks.

import { h } from "./dom.js";

/** An answer of one or more choices, into which `add` puts what the frames add. */
export class Answer {
  constructor() {
    this.element = h("div", { class: "answer" });
    this.#choices = new Map();
  }

  #choices;

  /** Adds what one frame adds. */
  add(additions) {
    for (const addition of additions) this.#add(addition);
  }

  #add(addition) {
    const { type, text } = addition;
    const choice = this.#choice(addition.choice ?? 0);
    if (TEXTS[type]) choice.text(type).append(text);
    else if (type === "call") choice.call(addition);
    else if (type === "arguments") choice.arguments(addition.call).append(text);
    else if (type === "finish") choice.end(`finish: ${addition.reason}`);
    else if (type === "usage") choice.end(usageOf(addition));
    else if (type === "error") choice.end(`error: ${typeof addition.error === "string" ? addition.error : JSON.stringify(addition.error)}`, "bad");
  }

  #choice(number) {
    if (!this.#choices.has(number)) {
      const made = new Choice();
      this.#choices.set(number, made);
      if (number) this.element.append(h("h4", {}, `Choice ${number}`));
      this.element.append(made.element);
    }
    return this.#choices.get(number);
  }
}

/** The tokens of an answer, as far as they were sent. */
export function usageOf({ input, output }) {
  return `usage: ${input ?? "?"} tokens in, ${output ?? "?"} out`;
}

const TEXTS = { text: "Text", reasoning: "Reasoning", summary: "Summary of the reasoning", refusal: "Refusal" };

class Choice {
  constructor() {
    this.element = h("div", { class: "choice" });
    this.#calls = [];
  }

  #calls;
  #last = null;

  /** The element that ends with the text of this type that grows. */
  text(type) {
    if (this.#last?.type !== type) {
      const element = h("div", { class: `part ${type}` });
      this.element.append(type === "text" ? element : labelled(TEXTS[type], element));
      this.#last = { type, element };
    }
    return this.#last.element;
  }

  call(addition) {
    const { name, id } = addition;
    const shown = callElement({ name, id, arguments: "" });
    this.#calls[addition.call ?? this.#calls.length] = shown.querySelector("code");
    this.element.append(shown);
    this.#last = null;
  }

  arguments(number) {
    return this.#calls[number] ?? this.text("text");
  }

  end(text, kind = "") {
    this.element.append(h("p", { class: `end ${kind}` }, text));
    this.#last = null;
  }
}

/** A tool call. */
export function callElement(call) {
  const { name, id } = call;
  return h("div", { class: "part call" }, h("span", { class: "label" }, `Call ${name ?? ""}`), id && h("span", { class: "id" }, id), h("pre", {}, h("code", {}, call.arguments)));
}

/** An element under a label. */
export function labelled(label, element) {
  return h("div", { class: "labelled" }, h("span", { class: "label" }, label), element);
}
