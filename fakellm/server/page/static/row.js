// Shows a request as a row of the list.

import { count, h, show } from "./dom.js";
import { underWay } from "./entries.js";

/** The height of a row in pixels. */
export const HEIGHT = 56;

/** Fills an element with a request; `manySessions`: whether to name its session. */
export function showRow(element, entry, { manySessions, timeOf }) {
  element.classList.toggle("unmatched", !entry.matched);
  element.classList.toggle("under-way", underWay(entry));
  const what = entry.user ?? entry.path;
  show(
    element,
    h("span", { class: "number" }, `#${entry.number}`),
    h("span", { class: "what" }, what),
    statusOf(entry),
    h("span", { class: "time" }, timeOf(entry)),
    h(
      "span",
      { class: "facts" },
      h("span", { class: entry.matched ? "rule" : "rule none" }, ruleOf(entry)),
      [entry.model, entry.api ?? entry.method, manySessions && entry.session && `session ${entry.session}`]
        .filter(Boolean)
        .map((fact) => h("span", {}, fact)),
    ),
    h("span", { class: "progress" }, progressOf(entry)),
  );
}

/** The rule that answered, or why there is none. */
export function ruleOf(entry) {
  if (!entry.matched) return entry.rule === "generated" ? "no rule: generated" : "no rule";
  return entry.rule ?? "refused";
}

/** The status as a mark, with the fault if there was one. */
export function statusOf({ status, fault, outcome }) {
  const kind = fault || status >= 400 ? "bad" : status === null ? "open" : "good";
  return h("span", { class: `status ${kind}` }, [status ?? (outcome === "sending" ? "…" : "no status"), fault].filter(Boolean).join(" "));
}

/** How far a reply is, how long it took, and how it ended unless that was as usual. */
export function progressOf(entry) {
  const { frames, frames_sent: sent, outcome, stepped, duration } = entry;
  const found = [`${sent === frames ? "" : `${sent}/`}${count(frames, "frame")}`];
  if (duration !== null) found.push(seconds(duration));
  if (outcome === "sending" && stepped && sent < frames) found.push("waits for a step");
  else if (outcome !== "sent") found.push(outcome);
  return found.join(" · ");
}

/** A time in the unit that suits it. */
export function seconds(value) {
  if (value < 0.0095) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  return value < 99.5 ? `${value.toFixed(value < 10 ? 2 : 1)} s` : `${Math.round(value)} s`;
}
