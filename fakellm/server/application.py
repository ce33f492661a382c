"""What all HTTP applications have in common: calls, sessions by path, and the control routes under `/_fakellm`.

Owns what an application is to the server. Knows no rules and no recordings, no sockets and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.validation import near_miss
from fakellm.engine.engine import Answer, Release
from fakellm.engine.journal import Entry, Journal
from fakellm.wire.http1 import bursts
from fakellm.wire.plan import Frame, Plan


class Call(Struct, frozen=True):
    """One HTTP request as it arrived; `path` may carry a query."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """By name, in any case."""


class Session(Protocol):
    """What an application keeps for those who ask under one name."""

    journal: Journal

    def health(self) -> dict[str, Any]:
        """What it serves, for `GET /_fakellm/health`."""


class Application(Protocol):
    """What a server serves."""

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Those there are; the one without a name is at the root, the others are under `/s/<name>`."""

    def session(self, name: str) -> Session:
        """The session of this name, which comes to be when it is first asked for."""

    def forget(self, name: str) -> None:
        """Ends a session: the next request finds it as it was at the start."""

    def handle(self, call: Call) -> tuple[Answer, Entry]:
        """The answer to a request, and its entry; control routes leave none in the journal."""

    def refuse(self, call: Call, error: RequestError) -> tuple[Answer, Entry]:
        """The answer to a request that cannot be handled, and its entry."""


A = TypeVar("A", bound=Application)
Handler = Callable[[A, str, Call], Answer]
Routes = Mapping[str, Mapping[str, Handler[A]]]
"""By path and by method."""


def address(path: str) -> tuple[str, str]:
    """The session's name and the route: ``/s/<name>/v1/models`` is the models of the session <name>."""
    path = path.partition("?")[0]
    if path.startswith("/s/"):
        name, slash, rest = path.removeprefix("/s/").partition("/")
        return unquote(name), slash + rest
    return "", path


def is_control(route: str) -> bool:
    """Whether a route is one of fakellm's own, which no provider has."""
    return route.startswith("/_fakellm/")


def handler(routes: Routes[A], call: Call, route: str | None = None, remedy: str | None = None) -> Handler[A]:
    """What handles a call, at a route where that is not its path. Raises RequestError where nothing does, with the
    remedy, or naming what there is."""
    route = address(call.path)[1] if route is None else route
    methods = routes.get(route)
    if methods is None:
        known = ", ".join(f"{method} {path}" for path, methods in routes.items() for method in methods)
        hint = f". {remedy}" if remedy else near_miss(route, list(routes)) or f"; there are {known}"
        raise RequestError(404, f"Unknown request URL: {call.method} {call.path}{hint}", "unknown_url")
    if call.method not in methods:
        allowed = ", ".join(methods)
        message = f"Not allowed to {call.method} {call.path}; the method here is {allowed}."
        raise RequestError(405, message, "method_not_allowed", headers={"Allow": allowed})
    return methods[call.method]


def recorded(app: Application, call: Call, answer: Answer) -> tuple[Answer, Entry]:
    """The answer with its entry, which is now in the session's journal."""
    entry = Entry(
        method=call.method,
        path=call.path,
        request=answer.request,
        rule=answer.rule,
        matched=answer.matched,
        explanation=answer.explanation,
        status=answer.plan.status,
        frames=len(answer.plan.frames),
        fault=answer.fault.kind if answer.fault else None,
    )
    name, route = address(call.path)
    if not is_control(route):
        app.session(name).journal.add(entry, len(call.body))
    return answer, entry


def json_answer(value: Any) -> Answer:
    """The answer of a control route."""
    body = dumps(value, indent=2).encode() + b"\n"
    plan = Plan(200, (("Content-Type", "application/json"),), (Frame(body),))
    return Answer(plan, bursts(plan))


def _health(app: Application, name: str, call: Call) -> Answer:
    from importlib.metadata import version  # costs a start more than it is worth to those who never ask

    return json_answer({"status": "ok", "version": version("fakellm-server"), **app.session(name).health()})


def _journal(app: Application, name: str, call: Call) -> Answer:
    journal = app.session(name).journal
    return json_answer({"entries": [msgspec.to_builtins(entry) for entry in journal], "dropped": journal.dropped})


def _reset(app: Application, name: str, call: Call) -> Answer:
    app.forget(name)
    return json_answer({"status": "reset"})


def _step(app: Application, name: str, call: Call) -> Answer:
    query = parse_qs(call.path.partition("?")[2])
    said = query.get("frames", ["1"])[0]
    frames = None if said == "all" else _number("frames", said, "a whole number from 1 on, or all")
    request = _number("request", query["request"][0], "its number in the journal") if "request" in query else None
    timeout = _number("timeout", query.get("timeout", ["5"])[0], "whole seconds from 1 on")
    return Answer(Plan(200, (), ()), (), release=Release(name, frames, request, timeout))


def _number(param: str, said: str, expected: str) -> int:
    if not (said.isdecimal() and len(said) < 10 and int(said)):
        raise RequestError(
            400, f"Invalid value for '{param}': expected {expected}, got {said!r}.", "invalid_value", param
        )
    return int(said)


CONTROL: Routes[Application] = {
    "/_fakellm/health": {"GET": _health},
    "/_fakellm/journal": {"GET": _journal},
    "/_fakellm/reset": {"POST": _reset},
    "/_fakellm/step": {"POST": _step},
}
