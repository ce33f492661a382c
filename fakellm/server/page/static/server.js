// Calls the control routes of the server that serves this page.

const [, ROOT, OWN] = location.pathname.match(/^(.*?)(?:\/s\/([^/]+))?\/_fakellm\/$/);

/** The session of this page: all sessions have one page, and each has one of its own; null on the former. */
export const OWN_SESSION = OWN === undefined ? null : decoded(OWN);

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // not UTF-8
  }
}

/** The URL of a control route of a session. */
export function url(route, session = OWN_SESSION ?? "") {
  return `${ROOT}${session && `/s/${encodeURIComponent(session)}`}/_fakellm/${route}`;
}

/** The base URL that an SDK takes for a session. */
export function baseUrl(session = OWN_SESSION ?? "") {
  return `${location.origin}${ROOT}${session && `/s/${encodeURIComponent(session)}`}/v1`;
}

/** A refusal of a control route, or, with the `status` 0, of a server that does not answer. */
export class Refusal extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let askForToken = async () => {};

/** Sets the function that gets the cookie of the page when the server needs its token. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** The response of a control route. Throws a Refusal. */
export async function call(method, route, { session, body } = {}) {
  let response;
  try {
    response = await fetch(url(route, session), { method, body, cache: "no-store" });
  } catch {
    throw new Refusal(0, "The server does not answer.");
  }
  if (response.status === 401) {
    await askForToken();
    return call(method, route, { session, body });
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new Refusal(response.status, error?.message ?? `Status ${response.status}`, error?.code);
}

/** The JSON of the response of a control route. Throws a Refusal. */
export async function json(method, route, options) {
  return (await call(method, route, options)).json();
}

/** Whether the server answers with rules: one that answers with recordings has none to compare, to make or to break. */
export async function hasRules() {
  return json("GET", "fault").then(() => true, (refusal) => refusal.status !== 404);
}

/** Exchanges the token for the cookie of the page. Throws a Refusal if it is not the server's. */
export async function sendToken(token) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(url("cookie"), { method: "POST", headers });
  if (!response.ok) throw new Refusal(response.status, "This is not the token that the server was started with.");
}
