"""The HTTP application without HTTP: which session and route a request is for, and the answer as a value.

Owns the routes of rules and their sessions; those of every application are in `control`. Knows no sockets and no clock.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from fakellm.control import CONTROL, Routes, address, handler, json_answer, recorded
from fakellm.control import Call as Call  # whoever asks an App something needs it
from fakellm.engine import Answer, Engine, refusal
from fakellm.errors import RequestError, ScenarioError
from fakellm.journal import Entry
from fakellm.loader import parse
from fakellm.scenario import Scenario


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
        name, _ = address(call.path)
        try:
            answer = handler(_ROUTES, call)(self, name, call)
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


def _chat(app: App, name: str, call: Call) -> Answer:
    return app.session(name).chat(call.body)


def _models(app: App, name: str, call: Call) -> Answer:
    models = app.session(name).models
    data = [{"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "fakellm"} for model in models]
    return json_answer({"object": "list", "data": data})


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
    "/v1/chat/completions": {"POST": _chat},
    "/v1/models": {"GET": _models},
    "/_fakellm/scenario": {"PUT": _scenario},
    **CONTROL,
}
