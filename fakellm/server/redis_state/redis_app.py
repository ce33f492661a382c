"""The application of a server that shares its sessions with others: what changes a session changes it for all of them.

Owns which requests wait for Redis, and which are refused because what they need is not shared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from fakellm.base.errors import RequestError, ScenarioError
from fakellm.engine.engine import Engine
from fakellm.engine.entry import Entry
from fakellm.engine.response import Outcome, Pace, Response, Work
from fakellm.engine.state import Limits
from fakellm.faults import Fault
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import HttpRequest, json_response, settled
from fakellm.server.control.next_fault import RequestedFault, read_fault, shown_fault
from fakellm.server.control.scenario_routes import engine_reader, loaded, read_result, shown_scenario
from fakellm.server.garbage import paused
from fakellm.server.offload import in_thread
from fakellm.server.processes.answering import parsed
from fakellm.server.redis_state.link import REFUSED, UNAVAILABLE
from fakellm.server.redis_state.reading_routes import reading
from fakellm.server.redis_state.redis_session import OwnScenario, RedisSession
from fakellm.server.redis_state.redis_state import RedisState
from fakellm.server.redis_state.shared_fault import SharedFault
from fakellm.server.scenario_app import ROUTES, App
from fakellm.server.workers.reports import ReportedChanges


class RedisApp(App):
    """The application of a server with this state. `real_time`: whether the time of quotas passes by itself."""

    def __init__(
        self,
        scenario: Scenario | None,
        *,
        seed: int,
        strict: bool,
        api_keys: Sequence[str],
        limits: Limits,
        url: str,
        real_time: bool = False,
    ) -> None:
        self.copies = RedisState(url, limits, real_time)
        super().__init__(scenario, seed=seed, strict=strict, api_keys=api_keys, limits=limits, state=self.copies)
        self.copies.engine, self.copies.fault = self._served, self._faulty
        self.changes = ReportedChanges(self.copies.journals.reports)
        self.copies.journals.changed = self.changes.notify
        self.copies.journals.settled = partial(settled, self)
        self.routes = {
            **ROUTES,
            "/_fakellm/reset": {"POST": _reset},
            "/_fakellm/scenario": {"PUT": _load_scenario, "GET": shown_scenario},
            "/_fakellm/speed": {**ROUTES["/_fakellm/speed"], "PUT": _set_speed},
            "/_fakellm/fault": {"GET": _shown_fault, "PUT": _put_fault, "DELETE": _end_fault},
        }

    def prepare(self, request: HttpRequest) -> Awaitable[None] | None:
        name = request.target.session
        if request.method == "OPTIONS" or self.copies.find(name) is not None:
            return None
        return self.copies.read(name)

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        work = reading(self.copies, request)
        if work is None:
            return super().handle(request)
        return work(lambda: super(RedisApp, self).handle(request)[0]), Entry(request.method, request.target.shown)

    def refuse(self, request: HttpRequest, error: RequestError, entry: Entry | None = None) -> tuple[Response, Entry]:
        """As that of App. What lacks Redis adds no line to the log, which has one of Redis."""
        response, entry = super().refuse(request, error, entry)
        if error.code in (UNAVAILABLE, REFUSED):
            response = replace(response, explanation=None)
        return response, entry

    def change(self, name: str, engine: Engine) -> Awaitable[None]:
        session = self.copies.find(name)
        assert isinstance(session, RedisSession)
        return self.copies.edit(name, _own(engine), session)

    async def _served(self, own: OwnScenario | None) -> Engine:
        """The engine of a session. A thread compiles one of its own. Raises RequestError if that is not possible."""
        if own is None:
            return self._engine
        compiled: Callable[[], Any] = await in_thread(partial(self._compiled, own))
        try:
            engine: Engine = compiled()
        except ScenarioError as error:
            message = f"Redis has a scenario that this version of fakellm cannot serve: {error}"
            raise RequestError(503, message, "invalid_scenario") from None
        return engine

    async def _faulty(self, session: RedisSession, fault: str | None, number: str | None, left: str | None) -> None:
        """Takes over what Redis has of a fault for the next requests. A thread compiles the rules that have it."""
        name = session.name
        now, found = self.session(name), self.next_faults.get(name)
        if fault is None or number is None or left is None:
            self.next_faults.pop(name, None)
            return
        if not isinstance(found, SharedFault) or found.number != number or not found.is_of(now):
            requested = RequestedFault(_known_fault(fault))
            count, announce = partial(self.copies.count_fault, name, number), partial(self.copies.announce, name)
            make = partial(SharedFault, now, now.content, requested, number, count, announce)
            found = (await in_thread(make))()
            self.next_faults = {**self.next_faults, name: found}
        found.left = int(left)

    def _compiled(self, own: OwnScenario) -> Engine:
        with paused():
            return self.compiled(parsed(own.text.encode("utf-8", "surrogateescape")), own.strict, own.first)


def _known_fault(text: str) -> Fault:
    try:
        fault: Fault = msgspec.json.decode(text, type=Fault)
    except msgspec.ValidationError as error:
        message = f"Redis has a fault that this version of fakellm does not know: {error}"
        raise RequestError(503, message, "invalid_fault") from None
    return fault


def _own(engine: Engine) -> OwnScenario:
    from fakellm.scenarios.loader import dump_json  # it reads YAML, which most servers never do

    ruleset = engine.ruleset
    return OwnScenario(dump_json(ruleset.scenario or Scenario(rules=())), engine.strict, ruleset.first)


def _reset(app: RedisApp, request: HttpRequest) -> Work:
    """Returns a session to its initial state on all servers."""

    def then(result: Callable[[], Any]) -> Response:
        result()
        return json_response({"status": "reset"})

    return Work(partial(app.copies.put, request.target.session, None), then)


def _load_scenario(app: RedisApp, request: HttpRequest) -> Work:
    """Loads a scenario into a session on all servers."""

    read = engine_reader(app, request)

    async def run() -> tuple[Scenario, Engine]:
        scenario, engine = await read()
        own = await in_thread(partial(_own, engine))
        await app.copies.put(request.target.session, own())
        return scenario, engine

    return Work(run, lambda result: loaded(*read_result(result)))


def _set_speed(app: RedisApp, request: HttpRequest) -> Work:
    """Divides the delays of all replies of all servers by another number."""
    pace = ROUTES["/_fakellm/speed"]["PUT"](app, request)
    assert isinstance(pace, Pace)
    assert pace.speed is not None
    speed = pace.speed

    def then(result: Callable[[], Any]) -> Response:
        result()
        return json_response({"speed": speed})

    return Work(partial(app.copies.set_speed, speed), then)


def _put_fault(app: RedisApp, request: HttpRequest) -> Work:
    """Sets the fault of the next requests to all servers."""
    requested = read_fault(request.body)
    fault = msgspec.json.encode(requested.fault).decode()
    return _changed_fault(app, request, fault, requested.requests)


def _end_fault(app: RedisApp, request: HttpRequest) -> Work:
    """Ends the fault of the next requests to all servers."""
    return _changed_fault(app, request)


def _changed_fault(app: RedisApp, request: HttpRequest, *fault: Any) -> Work:
    session = app.session(request.target.session)
    assert isinstance(session, RedisSession)
    return _fault_after(app, request, partial(app.copies.set_fault, session, *fault))


def _shown_fault(app: RedisApp, request: HttpRequest) -> Work:
    """The fault that is left, and for how many requests to all servers."""
    return _fault_after(app, request, partial(app.copies.read_again, request.target.session))


def _fault_after(app: RedisApp, request: HttpRequest, run: Callable[[], Awaitable[None]]) -> Work:
    def then(result: Callable[[], Any]) -> Response:
        result()
        return shown_fault(app, request)

    return Work(run, then)
