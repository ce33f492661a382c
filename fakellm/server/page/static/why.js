// Shows why a request got its answer: every rule with what it expects and what the request has, the nearest first.

import { count, h } from "./dom.js";

/** The rules, compared with a request. */
export function whyElement({ rules, more, answered_by: answered }) {
  if (!rules.length) return h("p", { class: "note" }, "The session has no rules: requests are answered with generated text, or refused if it is strict.");
  const now = rules.find((rule) => rule.answers);
  return h(
    "div",
    { class: "why" },
    h("p", { class: "note" }, verdict(now, answered)),
    rules.map(ruleElement),
    more > 0 && h("p", { class: "note" }, `${count(more, "more rule")} ${more === 1 ? "is" : "are"} further away.`),
  );
}

function verdict(now, answered) {
  if (!now) return "No rule matches this request. The nearest comes first.";
  if (answered === now.name) return `The rule ${now.name} answered.`;
  return `Now the rule ${now.name} would answer; then it was ${answered ?? "none"}.`;
}

function ruleElement({ number, name, matches, answers, conditions, differences }) {
  const result = answers ? "answers" : matches ? "matches, but an earlier rule answers" : count(differences.length, "difference");
  const failing = conditions.some((each) => !each.matches);
  return h(
    "article",
    { class: answers ? "rule answers" : matches ? "rule matches" : "rule" },
    h("h3", {}, `${number}. ${name} `, h("span", { class: answers ? "status good" : matches ? "status open" : "status bad" }, result)),
    conditions.length
      ? h(
          "table",
          {},
          h("thead", {}, h("tr", {}, ["", "Condition", "Expected", "Actual"].map((title) => h("th", { scope: "col" }, title || h("span", { class: "hidden" }, "Result"))))),
          h("tbody", {}, conditions.map(conditionElement)),
        )
      : h("p", {}, "It has no conditions: every request matches."),
    !failing && !matches && h("ul", {}, differences.map((text) => h("li", {}, text))),
  );
}

function conditionElement({ field, expected, actual, matches }) {
  return h(
    "tr",
    { class: matches ? "holds" : "fails" },
    h("td", {}, h("span", { "aria-hidden": "true" }, matches ? "✓" : "✗"), h("span", { class: "hidden" }, matches ? "holds" : "fails")),
    h("th", { scope: "row" }, field),
    h("td", {}, expected),
    h("td", {}, actual),
  );
}
