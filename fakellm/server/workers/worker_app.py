"""The application of a worker: answers what depends only on the scenario, the request and the number of the attempt,
which it fetches from the owner of the state. The owner answers all else: control routes, and what APIs have kept.
"""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.route import REPLIES
from fakellm.engine.engine import Engine
from fakellm.engine.entry import Entry
from fakellm.engine.response import Outcome, Response, Work
from fakellm.engine.state import Limits
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import HttpRequest
from fakellm.server.connections.settings import Connections
from fakellm.server.garbage import paused
from fakellm.server.offload import in_thread
from fakellm.server.requests.control_access import LIVE, READY, ControlAccess
from fakellm.server.scenario_app import App
from fakellm.server.workers.channel import Channel, long
from fakellm.server.workers.counted import Counted
from fakellm.server.workers.reports import ReportedChanges, Reports, plain
from fakellm.server.workers.worker_state import WorkerState


class WorkerSettings(Struct, frozen=True):
    """What a worker is started with."""

    seed: int
    api_keys: tuple[str, ...]
    limits: Limits
    speed: float
    access: ControlAccess
    connections: Connections
    grace: float
    """Seconds that open streams have at the end."""


class WorkerApp(App):
    """The application of a worker. `owner`: the channel to the process that has the state."""

    def __init__(self, owner: Channel, reports: Reports, settings: WorkerSettings) -> None:
        self._copies = WorkerState(owner, reports)
        super().__init__(seed=settings.seed, api_keys=settings.api_keys, limits=settings.limits, state=self._copies)
        self.changes = ReportedChanges(reports)
        self._owner = owner
        self._reports = reports
        self._engines: WeakValueDictionary[int, Engine] = WeakValueDictionary()
        """By the owner's numbers."""

    def prepare(self, request: HttpRequest) -> Awaitable[None] | None:
        if self._owner.full:
            return self._owner.has_room()
        target = request.target
        if target.control or request.method == "OPTIONS" or self._copies.find(target.session):
            return None
        return self._copies.fetch(target.session, self._compiled)

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        control = request.target.control
        if request.target.operation in _HANDLED:
            return super().handle(request)
        session = self._copies.find(request.target.session)
        elsewhere = reads_what_is_kept(request) or (session and session.elsewhere and self.replier(request))
        if not control and not elsewhere:
            return super().handle(request)
        entry = Entry(request.method, request.target.shown)
        if not control:
            entry.api = REPLIES.get(request.target.operation) if request.method == "POST" else None  # for the metrics
            self._reports.add(None, entry)
        waits = control and b'"wait"' in request.body
        return Work(partial(self._answered_there, request, entry), lambda result: result(), waits), entry

    async def _answered_there(self, request: HttpRequest, entry: Entry) -> Response:
        """The owner's response to a request."""
        sent = request.method, request.path, long(request.body), plain(request.headers)
        response: Response
        response, grant = await self._owner.call("answer", entry.number, sent)
        return replace(response, ended=partial(self._owner.notify, "give_back", grant)) if grant else response

    def counted(self) -> Counted:
        """What it has counted since it was started."""
        return Counted(self.traffic, self.lateness.frames, self.lateness.worst, self._cache.size)

    async def _compiled(self, number: int) -> Engine | None:
        """The engine with this number; None if it is not served any more. A thread compiles it."""
        found = self._engines.get(number)
        if found is None:
            pickled: bytes | None = await self._owner.call("engine", number)
            if pickled is None:
                return None
            compiled: Callable[[], Any] = await in_thread(partial(self._engine_of, pickled))
            found = self._engines.setdefault(number, compiled())
        return found

    def _engine_of(self, pickled: bytes) -> Engine:
        with paused():
            scenario: Scenario | None
            scenario, strict, first = pickle.loads(pickled)
            return self.compiled(scenario, strict, first)


_HANDLED = ("/_fakellm/events", LIVE, READY)
"""The control routes that a worker handles: see `worker_feed`; and a probe asks about this process."""


def reads_what_is_kept(request: HttpRequest) -> bool:
    """Whether a request is for something that its API has kept, or may continue it."""
    target, api = request.target, request.target.api
    if api.keeper is None:
        return False
    if target.operation in api.keeper.operations:
        return True
    return target.operation in REPLIES and (api.keeper.refers(request.body) or api.keeper.deferred(request.body))
