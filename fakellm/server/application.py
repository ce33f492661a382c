"""What all HTTP applications share: requests, dispatching them, and the control routes under `/_fakellm`.

Owns the protocol of applications. Knows no rules, recordings, sockets or clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.openai.response_headers import preflight
from fakellm.apis.route import REPLIES
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.words.near_miss import near_miss
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.response import Outcome, Release, Response, Watch, Work, refusal, respond
from fakellm.engine.state import Session
from fakellm.model.request import Request
from fakellm.scenarios.matching import When
from fakellm.server.control.changes import Changes
from fakellm.server.control.journal_query import journal_query
from fakellm.server.control.journal_view import journal_view
from fakellm.server.control.metrics import Held, metrics
from fakellm.server.control.parameters import check_parameters, whole_number
from fakellm.server.control.shown_entry import settle
from fakellm.server.control.unused_rules import unused_rules
from fakellm.server.page.files import PATHS, page_file, to_page
from fakellm.server.page.paths import TYPED
from fakellm.server.request_target import METRICS, RequestTarget, request_target
from fakellm.server.requests.control_access import HEALTH, LIVE, READY
from fakellm.server.requests.control_token import sent_token, set_cookie
from fakellm.server.sending.lateness import Lateness
from fakellm.server.sending.traffic import Traffic
from fakellm.wire.plan import Frame, Plan

FAVICON = "/favicon.ico"
"""What a browser requests by itself, beside a page that it opens: no test has sent it."""


class HttpRequest(Struct, frozen=True):
    """One HTTP request as it arrived; `path` may include a query."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Values by name; the case of names does not matter."""

    @property
    def target(self) -> RequestTarget:
        """Its request target."""
        found = request_target(self.path)
        return found.of_client(self.headers) if found.shared else found


class Application(Protocol):
    """What a server serves."""

    lateness: Lateness
    """How late frames left; the server counts them."""
    changes: Changes
    """Wakes what waits for a change of a journal."""
    traffic: Traffic
    """What has been sent; the server counts it."""
    scheme: str
    """That of its URLs, `http` or `https`; the server sets it."""

    def prepare(self, request: HttpRequest) -> Awaitable[None] | None:
        """What must be awaited before `handle` can be called, if anything; then this is called again. It may raise
        RequestError."""

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        """What answers a request, and its entry in the journal; control routes leave none there."""

    def refuse(self, request: HttpRequest, error: RequestError, entry: Entry | None = None) -> tuple[Response, Entry]:
        """The response to a request that could not be handled, and its entry: `entry`, or a new one."""

    def parsed(self, request: HttpRequest) -> Request:
        """A request to a model as rules match it. Raises RequestError for one that is not valid. A thread may call it,
        so it opens no session."""

    def rules(self, name: str) -> Sequence[tuple[str, When | None]]:
        """The names of a session's rules or recordings, with what a request to a rule must match."""

    def session(self, name: str) -> Session[Any]:
        """The session of this name, which is created when it is first needed. Raises RequestError, status 503, if there
        are too many."""

    def find(self, name: str) -> Session[Any] | None:
        """The session of this name, or None."""

    def sessions(self) -> Mapping[str, Session[Any]]:
        """All current sessions, by name."""

    def served(self, name: str) -> dict[str, Any]:
        """What a session serves: `scenario`, its name; `rules`, how many; and `strict`."""

    def forget(self, name: str) -> None:
        """Ends a session: the next request to it starts a new one in the initial state."""

    def held(self) -> Held:
        """How much is kept of what has a bound."""

    def health(self, name: str) -> dict[str, Any]:
        """The facts about a session for `GET /_fakellm/health`."""


A = TypeVar("A", bound=Application)
Handler = Callable[[A, HttpRequest], Outcome]
Routes = Mapping[str, Mapping[str, Handler[A]]]
"""Handlers, by operation and by method."""


class UnknownRouteError(RequestError):
    """An unknown URL, or a method that its route does not have: the request is for nothing that a session serves."""


def dispatch(
    app: A,
    routes: Routes[A],
    request: HttpRequest,
    remedy: Callable[[str], str | None] = lambda path: None,
    others: Callable[[HttpRequest], Mapping[str, Handler[A]]] = lambda request: {},
) -> Outcome:
    """Calls the handler of a request: that of its route or, if `routes` lacks it, one of `others`.

    Raises UnknownRouteError if there is none, with the remedy for its path or, without one, the known routes.
    """
    target = request.target
    methods = routes.get(target.operation) or others(request)
    if not methods:
        hint = remedy(target.path)
        models = {path: methods for path, methods in routes.items() if not path.startswith(("/_fakellm", "/metrics"))}
        known = ", ".join(f"{method} {path}" for path, methods in models.items() for method in methods)
        listed = f"; there are {known}" if known else ""
        hint = f". {hint}" if hint else near_miss(target.path, list(routes)) or listed
        page = "; in a browser, open /_fakellm/" if target.path == "/" else ""
        message = f"Unknown request URL: {request.method} {target.shown}{page}{hint}"
        raise UnknownRouteError(404, message + _of_upgrade(request), "unknown_url")
    handler = methods.get("GET" if request.method == "HEAD" and target.control else request.method)
    if handler is None:
        allowed = ", ".join(methods)
        message = f"Not allowed to {request.method} {target.shown}; the method here is {allowed}."
        message += _of_upgrade(request)
        raise UnknownRouteError(405, message, "method_not_allowed", headers={"Allow": allowed})
    if target.control:
        check_parameters(request.method, target.operation, target.query, request.body)
    return handler(app, request)


def _of_upgrade(request: HttpRequest) -> str:
    """A sentence for a client that would open a WebSocket; empty for any other."""
    upgrades = next((value for name, value in request.headers.items() if name.lower() == "upgrade"), "")
    return " fakellm serves no WebSockets." if upgrades.lower() == "websocket" else ""


def refused(request: HttpRequest, error: RequestError, seed: int) -> Response:
    """The refusal of a request, in the error shape of the API that its URL belongs to. No page of another origin may
    read that of a control route, which may contain what a test sent."""
    response = refusal(error, seed, request.body, request.target.refuser, request.target.url)
    if request.target.control:
        plan = response.plan
        kept = tuple(header for header in plan.headers if not header[0].startswith("access-control-"))
        response = respond(replace(plan, headers=kept), explanation=response.explanation)
    return replace(response, matched=not isinstance(error, UnknownRouteError))


def preflighted(request: HttpRequest) -> tuple[Response, Entry]:
    """The response to a browser's preflight request; it is not for a model, so it is not in the journal."""
    return _unlisted(request, respond(preflight(request.headers)))


def led_to_page(request: HttpRequest) -> tuple[Response, Entry]:
    """Leads a browser from the root to the page; it is not for a model, so it is not in the journal."""
    return _unlisted(request, to_page())


def _unlisted(request: HttpRequest, response: Response) -> tuple[Response, Entry]:
    entry = Entry(request.method, request.target.shown)
    entry.fill(response)
    return response, entry


def journaled(
    app: Application,
    request: HttpRequest,
    outcome: Outcome,
    entry: Entry | None = None,
    secrets: frozenset[str] = frozenset(),
) -> Entry:
    """The entry of a request, added to its session's journal if the session could be opened; if the request already has
    an entry, that one. `secrets`: known ones, which its body must not show."""
    if entry is not None:
        entry.fill(outcome)
        if filled := app.find(request.target.session):
            filled.journal.remeasure(entry)
        return entry
    target = request.target
    entry = Entry(request.method, target.shown)
    if target.control or target.path == FAVICON:
        entry.fill(outcome)
        return entry
    entry.api = REPLIES.get(target.operation) if request.method == "POST" else None
    entry.request = Kept(request.body, request.path, request.headers, secrets)
    entry.fill(outcome)
    try:
        session = app.session(target.session)
    except RequestError:  # refused because there are too many sessions: it has none to be recorded in
        return entry
    session.journal.add(entry)
    app.changes.notify(entry)
    return entry


def json_response(value: Any, *headers: tuple[str, str]) -> Response:
    """The response of a control route."""
    body = dumps(value, indent=2).encode() + b"\n"
    return respond(Plan(200, (("Content-Type", "application/json"), *headers), (Frame(body),)))


def _health(app: Application, request: HttpRequest) -> Response:
    from importlib.metadata import version  # slow to import, and few need it

    facts = app.health(request.target.session)
    pacing = app.lateness.facts()
    return json_response({"status": "ok", "version": version("fakellm-server"), **facts, "pacing": pacing})


def _live(app: Application, request: HttpRequest) -> Response:
    """For a probe that has a server restarted which does not answer."""
    return json_response({"status": "live"})


def _ready(app: Application, request: HttpRequest) -> Response:
    """For a probe that keeps requests from a server which is about to end."""
    if app.traffic.stopping:
        raise RequestError(503, "This server is about to end, and takes no more requests.", "stopping")
    return json_response({"status": "ready"})


def _metrics(app: Application, request: HttpRequest) -> Work:
    return metrics(app.traffic, app.lateness, app.held())


def _journal(app: Application, request: HttpRequest) -> Work:
    return journal_view(app.session(request.target.session).journal, partial(parsed_entry, app))


def _query(app: Application, request: HttpRequest) -> Work:
    name = request.target.session
    return journal_query(lambda: app.session(name).journal, partial(parsed_entry, app), request.body, app.changes)


def _unused(app: Application, request: HttpRequest) -> Work:
    name = request.target.session
    return unused_rules(app.rules(name), app.session(name).journal, partial(parsed_entry, app))


def settled(app: Application, name: str, entry: Entry) -> None:
    """Has the journal of a session read what was sent of a reply that stalls: see `settle`."""
    if session := app.find(name):
        settle(session.journal, partial(parsed_entry, app), entry)


def parsed_entry(app: Application, entry: Entry) -> Request | None:
    """The request of an entry as rules match it; None if it is not for a model, or not valid."""
    kept = entry.request
    if entry.api is None or not isinstance(kept, Kept):
        return None
    try:
        return app.parsed(HttpRequest(entry.method, kept.path, kept.body, kept.headers))
    except RequestError:
        return None


def _reset(app: Application, request: HttpRequest) -> Response:
    app.forget(request.target.session)
    return json_response({"status": "reset"})


def _step(app: Application, request: HttpRequest) -> Release:
    parameters = request.target.parameters
    count = parameters.get("frames", "1")
    frames = None if count == "all" else whole_number("frames", count, "a whole number from 1 on, or all")
    text = parameters.get("request")
    number = None if text is None else whole_number("request", text, "its number in the journal")
    timeout = whole_number("timeout", parameters.get("timeout", "5"), "whole seconds from 1 on")
    return Release(request.target.session, frames, number, timeout)


def _cookie(app: Application, request: HttpRequest) -> Response:
    """Gives a page the cookie that stands for the token it has sent, which has been checked."""
    token = sent_token(request.headers)
    if token is None:
        message = "Expected the control token as 'Authorization: Bearer TOKEN'."
        raise RequestError(400, message, "control_token_required")
    return json_response({"status": "ok"}, set_cookie(token))


def _events(app: Application, request: HttpRequest) -> Watch:
    after = next((value for name, value in request.headers.items() if name.lower() == "last-event-id"), "")
    return Watch(request.target.session or None, after)


def _file(app: Application, request: HttpRequest) -> Response:
    return page_file(request.target.path, request.headers)


CONTROL: Routes[Application] = {
    "/_fakellm/events": {"GET": _events},
    HEALTH: {"GET": _health},
    LIVE: {"GET": _live},
    READY: {"GET": _ready},
    "/_fakellm/journal": {"GET": _journal, "POST": _query},
    "/_fakellm/unused": {"GET": _unused},
    "/_fakellm/reset": {"POST": _reset},
    "/_fakellm/step": {"POST": _step},
    METRICS: {"GET": _metrics},
    "/_fakellm/cookie": {"POST": _cookie},
    TYPED: {"GET": lambda app, request: to_page()},
    **{path: {"GET": _file} for path in PATHS},
}
