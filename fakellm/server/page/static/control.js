// Controls the server: its sessions and their rules, steps, faults for the next requests, and the speed.

import { button, copyButton, count, h, show } from "./dom.js";
import { Editor } from "./editor.js";
import { OWN_SESSION, baseUrl, json } from "./server.js";

const FAULTS = {
  "Rate limit: status 429": { kind: "status", status: 429, retry_after: 1 },
  "Server error: status 500": { kind: "status", status: 500 },
  "Overloaded: status 503": { kind: "status", status: 503 },
  "Reset after three frames": { kind: "reset", frame: 3 },
  "Closed after three frames": { kind: "close", frame: 3 },
  "Ends after three frames as if complete": { kind: "eof", frame: 3 },
  "Stalls after three frames": { kind: "stall", frame: 3 },
  "An error after three frames": { kind: "error", frame: 3 },
};

const FAULTS_OF_NEXT = "Fault for the next requests";

/** The view that controls one session, and what all share. `onSession` is called with the session to control. */
export async function controlElement(session, onSession) {
  const [{ sessions }, speed, fault] = await Promise.all([json("GET", "sessions"), json("GET", "speed"), json("GET", "fault", { session }).catch((refusal) => refusal)]);
  const rules = fault.status !== 404; // recordings have neither rules nor faults
  return h(
    "div",
    { class: "control" },
    h("h2", {}, "Control"),
    OWN_SESSION === null && sessionsElement(sessions, session, onSession),
    rules && rulesElement(session),
    stepElement(session),
    rules && (fault.status ? group(FAULTS_OF_NEXT, h("p", { class: "note" }, fault.message)) : faultElement(session, fault)),
    speedElement(speed.speed),
  );
}

/** Releases frames of a stepped reply: `1` or `all`, of a request or the oldest that waits. */
export function step(frames, session, number = null) {
  const request = number === null ? "" : `&request=${number}`;
  return json("POST", `step?frames=${frames}${request}&timeout=1`, { session });
}

function sessionsElement(sessions, session, onSession) {
  return group(
    "Session",
    h(
      "label",
      {},
      "Session to control ",
      h(
        "select",
        { onchange: (event) => onSession(event.target.value) },
        sessions.map(({ session: name, requests, scenario }) =>
          h("option", { value: name, selected: name === session }, `${name || "the root"}: ${count(requests, "request")}, ${scenario ?? "generated replies"}`),
        ),
      ),
    ),
  );
}

function rulesElement(session) {
  const act = acting();
  const editor = new Editor({ label: "YAML to load", session, onCheck: (valid) => buttons.forEach((each) => (each.disabled = !valid)) });
  const buttons = [
    button("Put in front of the rules", () =>
      act(async () => {
        const { rules } = await json("POST", "rules?first=true", { session, body: editor.text });
        return `There are ${rules} rules now; the journal stays.`;
      }),
    ),
    button("Replace the scenario", () =>
      act(async () => {
        const { scenario, rules } = await json("PUT", "scenario", { session, body: editor.text });
        return `${scenario ?? "The scenario"} has ${rules} rules; the journal is empty.`;
      }),
    ),
  ];
  return group(
    "Rules",
    h("p", {}, "The base URL for an SDK is ", h("code", {}, baseUrl(session)), " ", copyButton("Copy", () => baseUrl(session))),
    h(
      "p",
      { class: "buttons" },
      button("Reset the session", () => act(async () => (await json("POST", "reset", { session })) && "The session has its first scenario again, and an empty journal.")),
      button("Show its scenario", () =>
        act(async () => {
          editor.text = JSON.stringify(await json("GET", "scenario", { session }), null, 2);
          return "The scenario is below, as JSON, which is YAML too.";
        }),
      ),
    ),
    h("p", {}, "Paste a scenario, some rules, or a failure that the fuzzer saved:"),
    editor.element,
    h("p", { class: "buttons" }, buttons),
    act.result,
  );
}

function stepElement(session) {
  const act = acting();
  const release = (frames) => () =>
    act(async () => {
      const { request, frames: released } = await step(frames, session);
      return `Request ${request}: ${count(released.length, "frame")} released.`;
    });
  return group(
    "Stepped replies",
    h("p", {}, "The oldest reply of the session that waits for a step:"),
    h("p", { class: "buttons" }, button("Release the next frame", release(1)), button("Release all", release("all"))),
    act.result,
  );
}

function faultElement(session, { fault, requests }) {
  const act = acting();
  const [first] = Object.values(FAULTS);
  const value = h("input", { value: JSON.stringify(first), spellcheck: "false", "aria-label": "The fault, as JSON", class: "wide" });
  const requested = h("input", { type: "number", min: "1", max: "1000", value: "1" });
  const left = (found) => (found.fault ? `${found.fault.kind} is sent to the next ${count(found.requests, "request")}.` : "No fault is set.");
  const choice = h(
    "select",
    { "aria-label": "Fault", onchange: () => (value.value = JSON.stringify(FAULTS[choice.value])) },
    Object.keys(FAULTS).map((name) => h("option", {}, name)),
  );
  const set = async () => {
    const body = `{"fault": ${value.value}, "requests": ${Number(requested.value)}}`;
    return left(await json("PUT", "fault", { session, body }));
  };
  show(act.result, h("p", {}, left({ fault, requests })));
  return group(
    FAULTS_OF_NEXT,
    h("p", { class: "fields" }, choice, value, h("label", {}, "Requests ", requested)),
    h("p", { class: "buttons" }, button("Set the fault", () => act(set)), button("End it", () => act(async () => left(await json("DELETE", "fault", { session }))))),
    act.result,
  );
}

function speedElement(speed) {
  const act = acting();
  const value = h("input", { type: "number", min: "0", step: "any", value: speed });
  const set = (number) => act(async () => `Speed ${(await json("PUT", "speed", { body: JSON.stringify({ speed: number }) })).speed}.`);
  return group(
    "Speed",
    h("p", { class: "fields" }, h("label", {}, "Delays are divided by ", value), " 0 is no delay; all sessions."),
    h("p", { class: "buttons" }, button("Set the speed", () => set(Number(value.value)))),
    act.result,
  );
}

function group(title, ...children) {
  return h("section", { class: "group" }, h("h3", {}, title), ...children);
}

/** A function that does something and shows the sentence it returns, or what the server refuses. */
function acting() {
  const result = h("div", { class: "result", role: "status" });
  const act = async (what) => {
    try {
      show(result, h("p", { class: "done" }, await what()));
    } catch (refusal) {
      show(result, h("p", { class: "problem" }, refusal.message));
    }
  };
  act.result = result;
  return act;
}
