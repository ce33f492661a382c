// The dialogs of the page: the keys, and the token of the server.

import { button, byId, h, show } from "./dom.js";
import { sendToken } from "./server.js";

/** The keys; `tabs`: the names of the views of a request. */
const keys = (tabs) => [
  ["↓ ↑ or j k", "next and previous request"],
  [`1 to ${tabs.length}`, tabs.join(", ")],
  ...(tabs.includes("Make a rule") ? [["r", "make a rule of the request"]] : []),
  ["n", "release the next frame of the request"],
  ["N", "release all its frames"],
  ["/", "search"],
  ["p", "pause, and go on"],
  ["e", "go to the newest request, and follow"],
  ["c", "control"],
  ["Escape", "back to the requests"],
  ["?", "these keys"],
];

const STORED = "fakellm-keys";

/** Whether single keys act. Who dictates, or uses them otherwise, turns them off. */
export function keysAct() {
  return localStorage.getItem(STORED) !== "off";
}

/** Shows which keys do what. `tabs`: the names of the views of a request. */
export function showKeys(tabs) {
  const act = h("input", { type: "checkbox", checked: keysAct(), onchange: () => localStorage.setItem(STORED, act.checked ? "on" : "off") });
  open(
    "Keys",
    h("table", { class: "keys" }, h("tbody", {}, keys(tabs).map(([key, what]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what))))),
    h("p", {}, h("label", {}, act, " Single keys act")),
    h("p", { class: "buttons" }, button("Close", () => byId("dialog").close(), { autofocus: true })),
  );
}

/** Shows that a file has been saved, until the reader closes it. */
export function showSaved(name) {
  open(
    `Saved to ${name}`,
    h("p", {}, "The server loads the file again, and journals begin anew: the requests so far are gone."),
    h("p", { class: "buttons" }, button("Close", () => byId("dialog").close(), { autofocus: true })),
  );
}

let asking = null;

/** Asks for the token of the server until it is right: then the browser has the cookie. */
export function askForToken() {
  asking ??= new Promise((resolve) => {
    const token = h("input", { type: "password", autocomplete: "off", required: true, autofocus: true, "aria-label": "Token" });
    const result = h("p", { class: "problem", role: "status" });
    const send = async (event) => {
      event.preventDefault();
      try {
        await sendToken(token.value.trim());
      } catch (refusal) {
        result.textContent = refusal.message;
        return;
      }
      byId("dialog").close();
      asking = null;
      resolve();
    };
    open(
      "Control token",
      h("p", {}, "This server was started with a token, --control-token or FAKELLM_CONTROL_TOKEN. It is needed to see what it received."),
      h("form", { onsubmit: send }, h("p", { class: "fields" }, token, h("button", { class: "primary" }, "Continue")), result),
    );
    byId("dialog").oncancel = (event) => event.preventDefault();
  });
  return asking;
}

function open(title, ...children) {
  const dialog = byId("dialog");
  dialog.oncancel = null;
  show(dialog, h("h2", { id: "dialog-title" }, title), ...children);
  if (!dialog.open) dialog.showModal();
}
