// Shows a request as it arrived, and copies it in other forms.

import { copyButton, h } from "./dom.js";
import { call, url } from "./server.js";
import { headersElement } from "./wire.js";

/** The headers and the body of a request, without secrets. */
export function rawElement({ session, number, entry }) {
  const copied = (form) => async () => (await call("GET", `requests/${number}/${form}`, { session })).text();
  return h(
    "div",
    { class: "raw" },
    h(
      "p",
      { class: "buttons" },
      copyButton("Copy as curl", copied("curl")),
      copyButton("Copy as Python", copied("python")),
      h("a", { class: "button", href: url(`requests/${number}/recording`, session), download: `request-${number}.jsonl` }, "Save as a recording"),
    ),
    h("h3", {}, "Headers"),
    headersElement(Object.entries(entry.headers)),
    h("h3", {}, "Body"),
    h("pre", { class: "body", tabindex: "0", "aria-label": "Body" }, indented(entry.body)),
  );
}

function indented(body) {
  if (body === null) return "none";
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
