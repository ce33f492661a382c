// The page: joins the list of requests, the request that is shown, and the control of the server. Owns its address.

import { Announcer } from "./announcer.js";
import { controlElement } from "./control.js";
import { Detail, TABS, withoutRules } from "./detail.js";
import { askForToken, keysAct, showKeys } from "./dialogs.js";
import { byId, count, h, show } from "./dom.js";
import { Entries, keyOf } from "./entries.js";
import { follow } from "./events.js";
import { List } from "./list.js";
import { HEIGHT, showRow } from "./row.js";
import { OWN_SESSION, baseUrl, hasRules, onTokenNeeded } from "./server.js";

const entries = new Entries();
const sessions = new Set();
const announcer = new Announcer(byId("announcements"));
let clock = 0;
let detail = null;
let controlled = OWN_SESSION ?? "";
let requested = null;
let loading = true;

const list = new List(byId("list"), {
  height: HEIGHT,
  label: "Requests, oldest first",
  render: (element, entry) => showRow(element, entry, { manySessions: OWN_SESSION === null, timeOf }),
  onSelect: (entry) => go(entry, detail?.tab),
  onFollow: (following) => (byId("newest").hidden = following),
  onOpen: () => byId("detail").focus(),
});

function timeOf({ started }) {
  return started === null ? "" : new Date(clock + started * 1000).toLocaleTimeString("en-GB");
}

/** Opens a request, by its address. */
function go({ session, number }, tab = "conversation") {
  location.hash = `#/requests/${number}/${tab ?? "conversation"}/${encodeURIComponent(session)}`;
}

/** Shows what the address names. */
function route() {
  const [, place, number, tab, session] = location.hash.split("/");
  document.body.dataset.place = place || "list";
  requested = null;
  if (place === "control") showControl();
  else if (place === "requests" && TABS[tab]) showRequest(keyOf({ session: decodeURIComponent(session ?? ""), number }), tab);
  else showNothing();
}

async function showControl() {
  leave("Control");
  try {
    const element = await controlElement(controlled, (session) => {
      controlled = session;
      showControl();
    });
    if (location.hash === "#/control") show(byId("detail"), h("a", { class: "back", href: "#/" }, "← Requests"), element);
  } catch (refusal) {
    show(byId("detail"), h("p", { class: "problem" }, refusal.message));
  }
}

function showRequest(key, tab) {
  const entry = entries.get(key);
  if (!entry) {
    requested = key;
    leave("Request");
    show(byId("detail"), h("p", { class: "note" }, loading ? "Loading…" : "This request is not in the journal (any more)."));
    return;
  }
  controlled = entry.session;
  if (detail?.summary.key !== key) {
    detail = new Detail(entry, { onTab: (name) => go(detail.summary, name) });
    byId("detail").setAttribute("aria-label", `Request ${entry.number}`);
    show(byId("detail"), detail.element);
    byId("detail").scrollTop = 0;
  }
  if (list.selected !== key) list.select(key);
  if (detail.tab !== tab) detail.select(tab);
}

function showNothing() {
  leave("Request");
  show(
    byId("detail"),
    h(
      "div",
      { class: "empty" },
      h("h2", {}, "What does my app send, and why did it get that answer?"),
      h("p", {}, "Point your SDK to ", h("code", {}, baseUrl()), " and select a request: its conversation, its frames on the wire", TABS.why && ", and how it compares with each rule", "."),
      TABS.rule && h("p", {}, "“Make a rule” turns a request that no rule matches into a rule. ", h("a", { href: "#/control" }, "Control"), " loads scenarios, steps replies and injects faults."),
    ),
  );
}

function leave(label) {
  detail = null;
  list.select(null);
  byId("detail").setAttribute("aria-label", label);
}

/** Shows what has changed. */
function refresh() {
  const applied = entries.apply();
  if (applied) {
    const { changed, added } = applied;
    for (const { session } of added) sessions.add(session);
    list.update(entries.shown, changed);
    if (!loading) announcer.add(added);
    const key = detail?.summary.key;
    if (key && changed.has(key)) {
      const entry = entries.get(key);
      if (entry) detail.update(entry);
      else route();
    }
  }
  if (requested && (entries.get(requested) || !loading)) route();
  showCount();
}

function rulesChanged(session) {
  if (detail?.summary.session === session) detail.rulesChanged();
}

function refilter() {
  entries.refilter();
  list.update(entries.shown);
  showCount();
}

function showCount() {
  const { size, waiting } = entries;
  const shown = entries.shown.length;
  const number = (each) => each.toLocaleString("en");
  const parts = [shown === size ? count(size, "request") : `${number(shown)} of ${number(size)} requests`];
  if (entries.paused) parts.push(`paused, ${number(waiting)} new`);
  document.body.classList.toggle("no-requests", !size);
  byId("count").textContent = loading ? "Loading…" : parts.join(" · ");
  const select = byId("session");
  const names = new Set(sessions);
  if (entries.filter.session !== null) names.add(entries.filter.session); // one may come back that is gone
  if (OWN_SESSION === null && select.options.length !== names.size + 1) {
    const { value } = select;
    show(select, h("option", { value: "*" }, "All sessions"), [...names].sort().map((name) => h("option", { value: `/${name}` }, name || "The root")));
    select.value = value || "*";
  }
  byId("session-field").hidden = OWN_SESSION !== null || names.size < 2;
}

function showState(state) {
  const element = byId("connection");
  loading = state === "loading";
  element.textContent = { live: "Live", loading: "Loading…", lost: "No connection; trying again…" }[state];
  element.className = state;
}

function togglePause() {
  entries.paused = !entries.paused;
  byId("pause").setAttribute("aria-pressed", entries.paused);
  byId("pause").textContent = entries.paused ? "Continue" : "Pause";
  refresh();
}

const ACTIONS = {
  j: () => list.move(1),
  k: () => list.move(-1),
  r: () => TABS.rule && detail && go(detail.summary, "rule"),
  n: () => detail?.step(1),
  N: () => detail?.step("all"),
  p: togglePause,
  e: () => list.toEnd(),
  c: () => (location.hash = "#/control"),
  "/": () => byId("search").focus(),
  "?": () => showKeys(Object.values(TABS)),
  Escape: () => (location.hash = "#/"),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("dialog").open) return;
  const typing = event.target.matches("input, textarea, select");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (!keysAct() && event.key !== "Escape") return;
  const tab = Object.keys(TABS)[Number(event.key) - 1];
  const act = ACTIONS[event.key] ?? (tab && detail && (() => go(detail.summary, tab)));
  if (!act) return;
  event.preventDefault();
  act();
}

onTokenNeeded(askForToken);
byId("search").addEventListener("input", (event) => {
  entries.filter.text = event.target.value;
  refilter();
});
byId("which").addEventListener("change", (event) => {
  entries.filter.which = event.target.value;
  refilter();
});
byId("session").addEventListener("change", (event) => {
  entries.filter.session = event.target.value === "*" ? null : event.target.value.slice(1);
  refilter();
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("pause").addEventListener("click", togglePause);
byId("newest").addEventListener("click", () => list.toEnd());
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names what is shown
  byId("detail").focus();
});
byId("keys").addEventListener("click", ACTIONS["?"]);
addEventListener("keydown", onKey);
addEventListener("hashchange", route);
if (!(await hasRules())) withoutRules();
follow(entries, { onChange: refresh, onState: showState, onRules: rulesChanged, onGone: (session) => sessions.delete(session), onClock: (now) => (clock = Date.now() - now * 1000) });
route();
