// Shows the wire: every frame on a time axis, its bytes, and what it adds to the answer.

import { usageOf } from "./answer.js";
import { fromLatin1, visible } from "./bytes.js";
import { sizeOf } from "./conversation.js";
import { h, show, svg } from "./dom.js";
import { seconds } from "./row.js";

const FIRST = 50;
const AT_ONCE = 400;
const MOST_SHOWN = 5_000;

/** The frames of a response. `sent` is how many have been sent; `update` takes a new number. */
export class Wire {
  constructor(wire) {
    this.wire = wire;
    this.#events = isEventStream(wire);
    this.#list = h("ol", { class: "frames" });
    this.#axis = h("div", { class: "axis" });
    this.element = h(
      "div",
      { class: "wire" },
      this.#axis,
      headElement(wire),
      this.#list,
      wire.frames.length > MOST_SHOWN && h("p", {}, `The first ${MOST_SHOWN.toLocaleString("en")} of ${wire.frames.length.toLocaleString("en")} frames.`),
      h("p", { class: "end" }, ENDS[wire.end] ?? wire.end),
    );
    this.#rows = [];
    this.#append();
  }

  #events;
  #list;
  #axis;
  #rows;
  #sent = 0;
  #inside = false;

  /** Marks the frames that have been sent. */
  update(sent) {
    const [low, high] = [Math.min(sent, this.#sent), Math.max(sent, this.#sent)];
    this.#sent = sent;
    for (const row of this.#rows.slice(low, high)) row.classList.toggle("sent");
    show(this.#axis, axisElement(this.wire.frames, sent));
  }

  /** Adds rows, some at a time: a reply may have thousands. */
  #append() {
    const start = this.#rows.length;
    const end = Math.min(start + (start ? AT_ONCE : FIRST), this.wire.frames.length, MOST_SHOWN);
    for (let number = start; number < end; number += 1) {
      const row = this.#row(number);
      this.#rows.push(row);
      this.#list.append(row);
    }
    if (end < Math.min(this.wire.frames.length, MOST_SHOWN)) setTimeout(() => this.#append());
  }

  #row(number) {
    const { due, step, separate, data, adds } = this.wire.frames[number];
    const before = number ? this.wire.frames[number - 1].due : 0;
    const bytes = fromLatin1(data);
    const began = this.#inside;
    this.#inside = this.#events && !/(\r\n|\r|\n)(\r\n|\r|\n)$/.test(data);
    const facts = [
      step ? "waits for a step" : `+${seconds(Math.max(due - before, 0))}`,
      sizeOf(bytes.length),
      separate && "read on its own",
      began && "begins inside an event",
      this.#inside && "ends inside an event",
    ];
    return h(
      "li",
      { class: number < this.#sent ? "frame sent" : "frame" },
      h("p", { class: "facts" }, h("b", {}, `${number + 1}`), facts.filter(Boolean).map((fact) => h("span", {}, fact))),
      h("code", { class: "bytes" }, visible(bytes)),
      adds.length > 0 && h("p", { class: "adds" }, h("span", { class: "hidden" }, "adds "), adds.map(additionElement)),
    );
  }
}

const ENDS = {
  complete: "Then the body ends, and the connection is kept.",
  hang_up: "Then the body ends, and the connection is closed.",
  close: "Then the connection is closed, with no end of the body.",
  reset: "Then the connection is reset.",
  stall: "Then nothing more is sent, and the connection stays open.",
};

function isEventStream({ headers }) {
  return headers.some(([name, value]) => name.toLowerCase() === "content-type" && value.includes("event-stream"));
}

function headElement({ status, headers, delimited }) {
  const ends = { chunked: "in chunks", length: "of a fixed length", close: "until the connection closes" }[delimited];
  return h(
    "details",
    { class: "head" },
    h("summary", {}, status === null ? "No head is sent" : `Status ${status}, ${headers.length} headers, a body ${ends}`),
    headersElement(headers),
  );
}

/** Headers as a table. */
export function headersElement(headers) {
  return h("table", { class: "headers" }, h("tbody", {}, headers.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value)))));
}

function axisElement(frames, sent) {
  const end = frames.length ? frames[frames.length - 1].due : 0;
  const steps = frames.some(({ step }) => step);
  const place = (frame, number) => 10 + 980 * (end > 0 ? frame.due / end : number / Math.max(frames.length - 1, 1));
  const ticks = (some, from) => some.map((frame, number) => `M${place(frame, from + number).toFixed(1)} 8V32`).join("");
  const what = steps ? "each waits for a step" : end > 0 ? `over ${seconds(end)}` : "all at once";
  return [
    svg(
      "svg",
      { viewBox: "0 0 1000 40", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("path", { class: "line", d: "M0 20H1000" }),
      svg("path", { class: "ticks sent", d: ticks(frames.slice(0, sent), 0) }),
      svg("path", { class: "ticks", d: ticks(frames.slice(sent), sent) }),
    ),
    h("p", {}, h("span", {}, end > 0 && !steps ? "0" : ""), h("span", {}, `${sent} of ${frames.length} frames sent, ${what}`), h("span", {}, end > 0 && !steps ? seconds(end) : "")),
  ];
}

function additionElement(addition) {
  const { type, text, name, reason, error } = addition;
  const content = text ?? name ?? reason ?? (error ? JSON.stringify(error) : type === "usage" ? usageOf(addition).replace("usage: ", "") : "");
  return h("span", { class: `addition ${type}` }, h("b", {}, type), content && [" ", content]);
}
