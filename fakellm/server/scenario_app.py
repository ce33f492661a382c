"""The HTTP application without HTTP: which session and route a request is for, and the answer as a value.

Owns the routes of rules and their sessions; those of every application are in `control`. Knows no sockets and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from fakellm.apis.openai import models
from fakellm.apis.openai.api_keys import check
from fakellm.apis.openai.embeddings import embeddings
from fakellm.apis.openai.legacy_completions import LEGACY_COMPLETIONS
from fakellm.apis.openai.moderations import moderations
from fakellm.apis.openai.response_headers import preflight
from fakellm.apis.openai.urls import MODEL, remedy, target, with_model
from fakellm.apis.route import CHAT, Route
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.base.json_text import JSON
from fakellm.engine.engine import Answer, Engine, generated_answer, refusal
from fakellm.engine.journal import Entry
from fakellm.model.request import digest
from fakellm.scenarios.loader import parse
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import CONTROL, Handler, Routes, address, handler, is_control, json_answer, recorded
from fakellm.server.application import Call as Call  # whoever asks an App something needs it
from fakellm.wire.http1 import bursts


class App:
    """All sessions of a server. The one without a name is at the root, the others are under `/s/<name>`.

    A session comes to be when it is first asked for, with the server's scenario; what is loaded into it or asked of it
    no other session sees.
    """

    def __init__(
        self, scenario: Scenario | None = None, *, seed: int = 0, strict: bool = False, api_keys: Sequence[str] = ()
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.strict = strict
        self.api_keys = frozenset(api_keys)
        """Those that a request must have one of; where there are none, it needs none. Control routes need none."""
        self.sessions: dict[str, Engine] = {}

    def handle(self, call: Call) -> tuple[Answer, Entry]:
        """The answer to a request, and its entry; control routes leave none in the journal."""
        name, route = address(call.path)
        if call.method == "OPTIONS" and not is_control(route):
            return _preflight(call)
        try:
            if not is_control(route):
                check(call.headers, self.api_keys)
            place = route if route in _ROUTES else target(route).route
            answer = handler(_ROUTES, call, place, remedy(route))(self, name, call)
        except RequestError as error:
            return self.refuse(call, error)
        return recorded(self, call, answer)

    def refuse(self, call: Call, error: RequestError) -> tuple[Answer, Entry]:
        """The answer to a request that cannot be handled, and its entry."""
        return recorded(self, call, refusal(error, self.seed, call.body))

    def session(self, name: str) -> Engine:
        if name not in self.sessions:
            self.sessions[name] = Engine(self.scenario, self.seed, self.strict)
        return self.sessions[name]

    def forget(self, name: str) -> None:
        """Ends a session: the next request finds it as it was at the start."""
        self.sessions.pop(name, None)

    def load(self, name: str, scenario: Scenario, strict: bool) -> None:
        """Puts a scenario into a session, in place of the one there and its journal."""
        self.sessions[name] = Engine(scenario, self.seed, strict)

    def restart(self, scenario: Scenario) -> None:
        """Serves another scenario: in every session that has not loaded one of its own, as at the start."""
        started = [name for name, engine in self.sessions.items() if engine.scenario is self.scenario]
        self.scenario = scenario
        for name in started:
            self.forget(name)


def _preflight(call: Call) -> tuple[Answer, Entry]:
    """The answer to a browser that asks whether it may ask. It asks nothing else: no entry in the journal."""
    plan = preflight(call.headers)
    entry = Entry(call.method, call.path, None, None, True, None, plan.status, 0)
    return Answer(plan, bursts(plan)), entry


def _asked(call: Call) -> bytes:
    """The body; where the URL names a deployment and the body no model, with that for one."""
    model = target(address(call.path)[1]).model
    return call.body if model is None else with_model(call.body, model)


def _said(route: Route) -> Handler[App]:
    """The handler of a route that rules answer."""
    return lambda app, name, call: app.session(name).reply(_asked(call), route, call.headers)


def _made(read: Callable[[bytes, int], tuple[JSON, JSON]]) -> Handler[App]:
    """The handler of a route whose replies are made from the body and the seed alone."""

    def made(app: App, name: str, call: Call) -> Answer:
        value, body = read(_asked(call), app.seed)
        return generated_answer(value, app.seed, digest(body), body)

    return made


def _models(app: App, name: str, call: Call) -> Answer:
    return generated_answer(models.listed(app.session(name).models), app.seed, "models")


def _model(app: App, name: str, call: Call) -> Answer:
    model = target(address(call.path)[1]).model or ""
    if not app.session(name).answers(model):
        raise models.unknown(model)
    return generated_answer(models.described(model), app.seed, model)


def _scenario(app: App, name: str, call: Call) -> Answer:
    query = parse_qs(call.path.partition("?")[2])
    strict = query["strict"][0] == "true" if "strict" in query else app.strict
    try:
        scenario = parse(call.body.decode("utf-8", "surrogateescape"), "scenario")
    except ScenarioError as error:
        raise RequestError(400, str(error), "invalid_scenario") from None
    app.load(name, scenario, strict)
    return json_answer({"scenario": scenario.name, "rules": len(scenario.rules), "strict": strict})


_ROUTES: Routes[App] = {
    "/v1/chat/completions": {"POST": _said(CHAT)},
    "/v1/completions": {"POST": _said(LEGACY_COMPLETIONS)},
    "/v1/embeddings": {"POST": _made(embeddings)},
    "/v1/moderations": {"POST": _made(moderations)},
    "/v1/models": {"GET": _models},
    MODEL: {"GET": _model},
    "/_fakellm/scenario": {"PUT": _scenario},
    **CONTROL,
}
