"""The HTTP application without HTTP: which session and route a request is for, and the answer as a value.

Owns the routes, the sessions and the control routes under `/_fakellm`. Knows no sockets and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Struct

from fakellm.dialects.dialect import dumps
from fakellm.engine import Answer, Engine, Release, refusal
from fakellm.errors import RequestError, ScenarioError
from fakellm.journal import Entry
from fakellm.loader import parse
from fakellm.scenario import Scenario
from fakellm.shape import near_miss
from fakellm.wire import Frame, Plan, bursts


class Call(Struct, frozen=True):
    """One HTTP request as it arrived; `path` may carry a query."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """By name, in any case."""


class App:
    """All sessions of a server. The one without a name is at the root, the others are under `/s/<name>`.

    A session comes to be when it is first asked for, with the server's scenario; what is loaded into it or asked of it
    no other session sees.
    """

    def __init__(self, scenario: Scenario | None = None, *, seed: int = 0, strict: bool = False) -> None:
        self.scenario = scenario
        self.seed = seed
        self.strict = strict
        self.sessions: dict[str, Engine] = {}

    def handle(self, call: Call) -> tuple[Answer, Entry]:
        """The answer to a request, and its entry; control routes leave none in the journal."""
        name, route = address(call.path)
        try:
            answer = _handler(call, route)(self, name, call)
        except RequestError as error:
            return self.refuse(call, error)
        return answer, self._record(call, answer)

    def refuse(self, call: Call, error: RequestError) -> tuple[Answer, Entry]:
        """The answer to a request that cannot be handled, and its entry."""
        answer = refusal(error, self.seed, call.body)
        return answer, self._record(call, answer)

    def session(self, name: str) -> Engine:
        if name not in self.sessions:
            self.sessions[name] = Engine(self.scenario, self.seed, self.strict)
        return self.sessions[name]

    def load(self, name: str, scenario: Scenario, strict: bool) -> None:
        """Puts a scenario into a session, in place of the one there and its journal."""
        self.sessions[name] = Engine(scenario, self.seed, strict)

    def restart(self, scenario: Scenario) -> None:
        """Serves another scenario: in every session that has not loaded one of its own, as at the start."""
        started = [name for name, engine in self.sessions.items() if engine.scenario is self.scenario]
        self.scenario = scenario
        for name in started:
            del self.sessions[name]  # the next request finds it as at the start

    def _record(self, call: Call, answer: Answer) -> Entry:
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
        if not route.startswith("/_fakellm/"):
            self.session(name).journal.add(entry, len(call.body))
        return entry


def address(path: str) -> tuple[str, str]:
    """The session's name and the route: ``/s/<name>/v1/models`` is the models of the session <name>."""
    path = path.partition("?")[0]
    if path.startswith("/s/"):
        name, slash, rest = path.removeprefix("/s/").partition("/")
        return unquote(name), slash + rest
    return "", path


def _handler(call: Call, route: str) -> Handler:
    methods = _ROUTES.get(route)
    if methods is None:
        known = ", ".join(f"{method} {path}" for path, methods in _ROUTES.items() for method in methods)
        hint = near_miss(route, list(_ROUTES)) or f"; there are {known}"
        raise RequestError(404, f"Unknown request URL: {call.method} {call.path}{hint}", "unknown_url")
    if call.method not in methods:
        allowed = ", ".join(methods)
        message = f"Not allowed to {call.method} {call.path}; the method here is {allowed}."
        raise RequestError(405, message, "method_not_allowed", headers={"Allow": allowed})
    return methods[call.method]


def json_answer(value: Any) -> Answer:
    """The answer of a control route."""
    body = dumps(value, indent=2).encode() + b"\n"
    plan = Plan(200, (("Content-Type", "application/json"),), (Frame(body),))
    return Answer(plan, bursts(plan))


def _chat(app: App, name: str, call: Call) -> Answer:
    return app.session(name).chat(call.body, call.headers)


def _models(app: App, name: str, call: Call) -> Answer:
    models = app.session(name).models
    data = [{"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "fakellm"} for model in models]
    return json_answer({"object": "list", "data": data})


def _health(app: App, name: str, call: Call) -> Answer:
    from importlib.metadata import version  # costs a start more than it is worth to those who never ask

    engine = app.session(name)
    return json_answer(
        {
            "status": "ok",
            "version": version("fakellm-server"),
            "seed": engine.seed,
            "strict": engine.strict,
            "scenario": engine.scenario and engine.scenario.name,
        }
    )


def _journal(app: App, name: str, call: Call) -> Answer:
    journal = app.session(name).journal
    return json_answer({"entries": [msgspec.to_builtins(entry) for entry in journal], "dropped": journal.dropped})


def _reset(app: App, name: str, call: Call) -> Answer:
    app.sessions.pop(name, None)  # the next request finds it as it was at the start
    return json_answer({"status": "reset"})


def _scenario(app: App, name: str, call: Call) -> Answer:
    query = parse_qs(call.path.partition("?")[2])
    strict = query["strict"][0] == "true" if "strict" in query else app.strict
    try:
        scenario = parse(call.body.decode("utf-8", "surrogateescape"), "scenario")
    except ScenarioError as error:
        raise RequestError(400, str(error), "invalid_scenario") from None
    app.load(name, scenario, strict)
    return json_answer({"scenario": scenario.name, "rules": len(scenario.rules), "strict": strict})


def _step(app: App, name: str, call: Call) -> Answer:
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


Handler = Callable[[App, str, Call], Answer]

_ROUTES: dict[str, dict[str, Handler]] = {
    "/v1/chat/completions": {"POST": _chat},
    "/v1/models": {"GET": _models},
    "/_fakellm/health": {"GET": _health},
    "/_fakellm/journal": {"GET": _journal},
    "/_fakellm/reset": {"POST": _reset},
    "/_fakellm/scenario": {"PUT": _scenario},
    "/_fakellm/step": {"POST": _step},
}
