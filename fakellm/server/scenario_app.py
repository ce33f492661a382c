"""The application that answers with rules: what a session answers to a request, as a value.

Owns the routes that rules answer, and which ruleset a session has; `application` has the control routes of every
application. Knows no sockets and no clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from fakellm.apis.openai.api_keys import check
from fakellm.apis.openai.embeddings import embeddings
from fakellm.apis.openai.moderations import moderations
from fakellm.apis.openai.urls import DEPLOYED, MODEL, with_model
from fakellm.apis.route import HOMES, REPLIES, Route
from fakellm.apis.url_remedy import remedy
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine, Vary
from fakellm.engine.entry import Entry
from fakellm.engine.memo import Cache
from fakellm.engine.response import Outcome, Response, Work
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.state import Limits, MemoryState, Session, State, Time, still
from fakellm.model.request import Request
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Scenario, extended
from fakellm.server.application import CONTROL, Handler, dispatch, journaled, preflighted, refused
from fakellm.server.application import HttpRequest as HttpRequest  # callers of an App need it
from fakellm.server.control.changes import Changes
from fakellm.server.control.file_routes import Edited, shown_files, write_file
from fakellm.server.control.metrics import Held
from fakellm.server.control.next_fault import NextFault, end_fault, put_fault, shown_fault
from fakellm.server.control.quota_clock import advance
from fakellm.server.control.scenario_routes import add_rules, load_scenario, scripts, shown_scenario
from fakellm.server.control.server_routes import SERVER
from fakellm.server.one_request.tables import OF_REQUESTS
from fakellm.server.processes.answered_there import answered_with, refused_there
from fakellm.server.processes.api_operations import list_models, made, operations, show_model
from fakellm.server.processes.long_requests import is_long
from fakellm.server.processes.model_reply import replied, responding, whole_request
from fakellm.server.sending.lateness import Lateness
from fakellm.server.sending.traffic import Traffic


class App:
    """All sessions of a server. The one without a name is at the root, the others are under `/s/<name>`.

    A session is created when it is first needed, with the server's scenario; loading a scenario into it or sending
    requests to it affects no other session. `state`: by default within `limits`, in this process, with this `time` for
    quotas.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        seed: int = 0,
        strict: bool = False,
        api_keys: Sequence[str] = (),
        limits: Limits = Limits(),  # noqa: B008 # it is frozen
        time: Time = still,
        state: State[Engine] | None = None,
    ) -> None:
        self.lateness = Lateness()
        self.changes = Changes()
        self.traffic = Traffic()
        self.scheme = "http"
        self.seed = seed
        self.strict = strict
        self.api_keys = frozenset(api_keys)
        """A request needs one of these API keys; if there are none, no key. Control routes need no key."""
        self._cache = Cache(limits.cache_bytes)
        self.other_caches = (0, 0)  # of its workers: how many bytes they have, and may have
        self._state: State[Engine] = state or MemoryState(limits, time)
        self.scenario = scenario  # of sessions that have loaded none of their own
        self._engine = self.compiled(scenario, strict)
        self.offloads = True
        """Whether what takes long is done in another process."""
        self._vary: dict[str, Vary] = {}
        self.next_faults: dict[str, NextFault] = {}
        """By session, a fault for its next requests."""
        self.routes: Mapping[str, Mapping[str, Handler[Any]]] = ROUTES
        self.edited: Edited | None = None
        """The files of the scenario, if they may be written."""

    @classmethod
    def of(cls, engine: Engine) -> App:
        """An application that serves an engine, and does everything itself."""
        app = cls(seed=engine.seed, strict=engine.strict, limits=Limits(cache_bytes=0, journal_bytes=0))
        app._engine = engine
        app.offloads = False
        return app

    def prepare(self, request: HttpRequest) -> Awaitable[None] | None:
        return None

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        target = request.target
        if request.method == "OPTIONS" and not target.control:
            return preflighted(request)
        long = self.offloads and not target.control and is_long(request) and target.route.api in APIS
        try:
            if not target.control:
                home = HOMES[target.route.api]
                if self.api_keys:
                    check(request.headers, self.api_keys, target.query, home.key_refused)
                if home.check and target.route.known:
                    home.check(request.headers, target.path)
            if long:
                return self._unread(request)
            if target.model is not None:
                request = self.routed(request)
            outcome = dispatch(self, self.routes, request, remedy, operations)
        except RequestError as error:
            return self._unread(request, error) if long else self.refuse(request, error)
        return outcome, journaled(self, request, outcome)

    def routed(self, request: HttpRequest) -> HttpRequest:
        """The request with the model in its body that its URL names, as the deployments of OpenAI's models have it."""
        target = request.target
        if target.model is None or target.operation == MODEL or target.route.api not in DEPLOYED:
            return request
        return replace(request, body=with_model(request.body, target.model))

    def parsed(self, request: HttpRequest) -> Request:
        return whole_request(self.find(request.target.session), self.routed(request))

    def rules(self, name: str) -> Sequence[tuple[str, When | None]]:
        return [(str(rule.name), rule.when) for rule in self.session(name).content.ruleset.rules]

    def replier(self, request: HttpRequest) -> Route | None:
        """The API of a request that a rule may answer; None for any other request."""
        target = request.target
        return target.api if request.method == "POST" and target.operation in REPLIES else None

    def _unread(self, request: HttpRequest, error: RequestError | None = None) -> tuple[Outcome, Entry]:
        """The work of answering a request in another process, which reads its body; with `error`, of refusing it."""
        work: Response | Work
        if error:
            work = responding(partial(refused_there, self._engine, request, error))
        else:
            session = self.session(request.target.session)

            def reply(engine: Engine) -> Work:
                return responding(partial(answered_with, session, engine, request))

            faulty = self.next_faults and self.replier(request)
            work = self.answered(request.target.session, reply) if faulty else reply(session.content)
        return work, journaled(self, request, work)

    def refuse(self, request: HttpRequest, error: RequestError, entry: Entry | None = None) -> tuple[Response, Entry]:
        response = refused(request, error, self.seed)
        return response, journaled(self, request, response, entry)

    def next_fault(self, name: str) -> NextFault | None:
        """The fault that is left for the next requests to models in a session."""
        found = self.next_faults.get(name)
        return found if found and found.left and found.is_of(self.find(name)) else None

    def answered(self, name: str, reply: Callable[[Engine], Response | Work]) -> Response | Work:
        """The outcome of a request to a model in a session. `reply`: what an engine replies to it."""
        content, found = self.session(name).content, self.next_fault(name)
        return found.applied(content, reply) if found else reply(content)

    def session(self, name: str) -> Session[Engine]:
        engine = self._engine.varied(self._vary[name]) if name in self._vary else self._engine
        return self._state.open(name, engine)

    def find(self, name: str) -> Session[Engine] | None:
        return self._state.find(name)

    def sessions(self) -> Mapping[str, Session[Engine]]:
        return self._state.sessions()

    def forget(self, name: str) -> None:
        self.next_faults.pop(name, None)
        self._state.forget(name)

    def held(self) -> Held:
        size, most = self.other_caches
        return {"cache_bytes": (self._cache.size + size, self._cache.most_bytes + most), **self._state.held()}

    def served(self, name: str) -> dict[str, Any]:
        session = self.find(name)
        engine = session.content if session else self._engine
        scenario = engine.ruleset.scenario
        return {"scenario": scenario and scenario.name, "rules": len(engine.ruleset.rules), "strict": engine.strict}

    def health(self, name: str) -> dict[str, Any]:
        return self.session(name).content.health()

    def load(self, name: str, scenario: Scenario, strict: bool) -> None:
        """Loads a scenario into a session; it replaces the current one and empties the journal."""
        self.put(name, self.compiled(scenario, strict))

    def put(self, name: str, engine: Engine) -> None:
        """Loads a compiled scenario into a session; it replaces the current one and empties the journal."""
        self._state.load(name, engine.varied(self._vary.get(name)))

    def extended(
        self, engine: Engine, added: Scenario, number: int | None, strict: bool, first: bool = False
    ) -> Engine:
        """An engine with these rules after its own, before them, or in place of the one with this number. Raises
        ScenarioError if they do not go together."""
        from fakellm.scenarios.loader import load  # it reads YAML, which most servers never do

        before = engine.ruleset.first + (len(added.rules) if first else 0)
        return self.compiled(load(extended(engine.ruleset.scenario, added, number, first)), strict, before)

    def change(self, name: str, engine: Engine) -> Awaitable[None] | None:
        """Has a session served by another engine; its journal and its counts stay. What to await, if anything."""
        self._state.change(name, engine.varied(self._vary.get(name)))
        return None

    def vary(self, name: str, vary: Vary | None) -> None:
        """From the next scenario on that a session loads, and now if it has none, its replies are sent in another way.
        Then this process makes all replies."""
        self.offloads = False
        self._vary.pop(name, None)
        if vary:
            self._vary[name] = vary
        if name not in self.own_sessions:
            self.forget(name)

    def restart(self, engine: Engine) -> None:
        """Serves another compiled scenario in every session that has not loaded its own; these start again."""
        self._engine, self.scenario = engine, engine.ruleset.scenario
        own = self.own_sessions
        for name in [name for name in self._state.sessions() if name not in own]:
            self.forget(name)

    @property
    def own_sessions(self) -> tuple[str, ...]:
        """The names of the sessions that have loaded a scenario of their own."""
        return tuple(name for name, session in self._state.sessions().items() if session.own)

    def compiled(self, scenario: Scenario | None, strict: bool, first: int = 0) -> Engine:
        """A scenario ready to be served; `first`: see `Ruleset`. With thousands of rules this takes so long that a
        thread should do it."""
        return Engine(Ruleset(scenario, first), self.seed, strict, self._cache)


def model_reply(app: App, request: HttpRequest) -> Outcome:
    """The outcome of a request for a model."""
    target, session = request.target, app.session(request.target.session)
    offloads = app.offloads and target.route.api in APIS
    if app.next_faults:
        return app.answered(target.session, lambda engine: replied(session, engine, request, offloads))
    return replied(session, session.content, request, offloads)


APIS = frozenset(HOMES)
"""The APIs that fakellm has; another process does not know one that was added to this process."""

ROUTES: dict[str, Mapping[str, Handler[App]]] = {
    **{operation: {"POST": model_reply} for operation in REPLIES},
    "/v1/embeddings": {"POST": made(embeddings)},
    "/v1/moderations": {"POST": made(moderations)},
    "/v1/models": {"GET": list_models},
    MODEL: {"GET": show_model},
    "/_fakellm/scenario": {"PUT": load_scenario, "GET": shown_scenario},
    "/_fakellm/rules": {"POST": add_rules},
    "/_fakellm/scripts": {"GET": scripts},
    "/_fakellm/advance": {"POST": advance},
    "/_fakellm/fault": {"GET": shown_fault, "PUT": put_fault, "DELETE": end_fault},
    "/_fakellm/file": {"GET": shown_files, "PUT": write_file},
    **OF_REQUESTS,
    **SERVER,
    **CONTROL,
}
