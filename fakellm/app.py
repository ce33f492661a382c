"""The HTTP application without HTTP: which session and route a request is for, and the answer as a value.

Owns the routes of rules and their sessions; those of every application are in `control`. Knows no sockets and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from fakellm.control import CONTROL, Handler, Routes, address, handler, is_control, json_answer, recorded
from fakellm.control import Call as Call  # whoever asks an App something needs it
from fakellm.dialects.dialect import JSON
from fakellm.doors import models
from fakellm.doors.door import CHAT, Door
from fakellm.doors.embeddings import embeddings
from fakellm.doors.headers import preflight
from fakellm.doors.keys import check
from fakellm.doors.moderations import moderations
from fakellm.doors.paths import MODEL, remedy, target, with_model
from fakellm.doors.texts import TEXTS
from fakellm.engine import Answer, Engine, generated_answer, refusal
from fakellm.errors import RequestError, ScenarioError
from fakellm.journal import Entry
from fakellm.loader import parse
from fakellm.request import digest
from fakellm.scenario import Scenario
from fakellm.wire import bursts


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


def _preflight(call: Call) -> tuple[Answer, Entry]:
    """The answer to a browser that asks whether it may ask. It asks nothing else: no entry in the journal."""
    plan = preflight(call.headers)
    entry = Entry(call.method, call.path, None, None, True, None, plan.status, 0)
    return Answer(plan, bursts(plan)), entry


def _asked(call: Call) -> bytes:
    """The body; where the URL names a deployment and the body no model, with that for one."""
    model = target(address(call.path)[1]).model
    return call.body if model is None else with_model(call.body, model)


def _said(door: Door) -> Handler[App]:
    """The handler of a route that rules answer."""
    return lambda app, name, call: app.session(name).reply(_asked(call), door)


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
    app.sessions[name] = Engine(scenario, app.seed, strict)
    return json_answer({"scenario": scenario.name, "rules": len(scenario.rules), "strict": strict})


_ROUTES: Routes[App] = {
    "/v1/chat/completions": {"POST": _said(CHAT)},
    "/v1/completions": {"POST": _said(TEXTS)},
    "/v1/embeddings": {"POST": _made(embeddings)},
    "/v1/moderations": {"POST": _made(moderations)},
    "/v1/models": {"GET": _models},
    MODEL: {"GET": _model},
    "/_fakellm/scenario": {"PUT": _scenario},
    **CONTROL,
}
