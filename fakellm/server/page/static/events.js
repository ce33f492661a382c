// Reads the events of the server, and hands them on together, at most ten times a second.

import { call, url } from "./server.js";

const INTERVAL = 100;

/** Follows the events of the server for ever. `entries` takes the requests; `onChange` is called when something has
 * changed, `onState` with `live`, `loading` or `lost`, `onRules` with the session whose rules changed, `onGone`
 * with a session that is gone, and `onClock` with the time on the server's clock. */
export function follow(entries, { onChange, onState, onRules, onGone, onClock }) {
  let scheduled = false;
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(() => {
      scheduled = false;
      onChange();
    }, INTERVAL);
  };
  const source = new EventSource(url("events"));
  const on = (name, act) =>
    source.addEventListener(name, (event) => {
      act(JSON.parse(event.data));
      schedule();
    });
  let complete = false; // whether all that there was has come
  const restart = ({ now }) => {
    complete = false;
    onClock(now);
    entries.forget();
    onState("loading");
  };
  on("start", restart);
  on("gap", restart);
  on("live", () => {
    complete = true;
    onState("live");
  });
  on("entry", (entry) => entries.put(entry));
  on("scenario", ({ session }) => onRules(session));
  on("session", ({ session, state }) => {
    if (state !== "gone") return;
    entries.forget(session);
    onGone(session);
  });
  source.onopen = () => complete && onState("live"); // again: the server goes on after the last event
  source.onerror = async () => {
    onState("lost");
    if (source.readyState !== EventSource.CLOSED) return; // else it tries again by itself
    await call("GET", "sessions").catch(() => new Promise((resolve) => setTimeout(resolve, 2000)));
    follow(entries, { onChange, onState, onRules, onGone, onClock });
  };
}
