// Shows a request as the conversation that all APIs share, with the answer behind it.

import { callElement } from "./answer.js";
import { count, h } from "./dom.js";

const MOST_CHARACTERS = 4_000;

/** The messages of a request, and the answer to it. */
export function conversationElement(conversation, answer) {
  const { messages, tools } = conversation;
  return h(
    "div",
    { class: "conversation" },
    h("p", { class: "facts" }, settings(conversation).map((each) => h("span", {}, each))),
    tools.length > 0 && toolsElement(tools),
    messages.map(messageElement),
    h("article", { class: "message reply" }, h("h3", {}, "Reply"), answer.element),
  );
}

function settings({ api, model, stream, tool_choice: choice, response_format: format, choices, max_tokens: most }) {
  return [
    api,
    model,
    stream ? "streamed" : "not streamed",
    choice && choice !== "auto" && `tool choice ${typeof choice === "string" ? choice : JSON.stringify(choice)}`,
    format && format[0] !== "text" && `format ${format.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(" ")}`,
    choices > 1 && `${choices} choices`,
    most && `at most ${most} tokens`,
  ].filter(Boolean);
}

function messageElement({ role, name, result_of: result, parts, calls }) {
  const about = [name, result && `result of ${result}`].filter(Boolean).join(" · ");
  return h(
    "article",
    { class: `message ${role}` },
    h("h3", {}, role, about && h("small", {}, about)),
    parts.map(partElement),
    calls.map(callElement),
  );
}

function partElement(part) {
  if (part.type === "text") return longText(part.text);
  const { media_type: type, bytes, url } = part;
  return h("p", { class: "part media" }, [type ?? part.type, bytes !== null && bytes !== undefined && sizeOf(bytes), url].filter(Boolean).join(" · "));
}

/** A text, of which a long one is cut until a button is pressed. */
export function longText(text) {
  const element = h("div", { class: "part text" }, text.slice(0, MOST_CHARACTERS));
  if (text.length <= MOST_CHARACTERS) return element;
  const more = h("button", { type: "button", onclick: () => element.replaceChildren(text) }, `Show all ${text.length.toLocaleString("en")} characters`);
  element.append("… ", more);
  return element;
}

function toolsElement(tools) {
  return h(
    "details",
    { class: "tools" },
    h("summary", {}, `${count(tools.length, "tool")}: ${tools.map(({ name }) => name).join(", ")}`),
    tools.map(({ name, kind, parameters }) =>
      h("div", { class: "part call" }, h("span", { class: "label" }, `${kind} ${name}`), parameters && h("pre", {}, h("code", {}, JSON.stringify(parameters, null, 2)))),
    ),
  );
}

/** A number of bytes for people. */
export function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 999_500 ? `${(bytes / 1000).toPrecision(3)} kB` : `${(bytes / 1e6).toPrecision(3)} MB`;
}
