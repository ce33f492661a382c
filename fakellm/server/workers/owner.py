"""The process that has the state of a server with workers: answers for all of them, and keeps their journals.

It has an application like that of any server, with the state in memory, so that what reads or changes state is answered
as in a server without workers. `staging` decides when entries get into the journals.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from typing import Any

from msgspec.structs import replace

from fakellm.apis.operation import Keeper
from fakellm.engine.entry import Ending
from fakellm.engine.response import Response, Watch
from fakellm.engine.state import AttemptCount, Attempted, MemorySession
from fakellm.model.request import Request
from fakellm.quotas.quota import Demand
from fakellm.server.application import HttpRequest
from fakellm.server.http_server import Server
from fakellm.server.offload import in_thread
from fakellm.server.scenario_app import App
from fakellm.server.sending.traffic import Traffic
from fakellm.server.stepping import Steps
from fakellm.server.workers.channel import long
from fakellm.server.workers.counted import Counted
from fakellm.server.workers.link import FarWatcher, Link, answered
from fakellm.server.workers.owned import Attempt, Owned
from fakellm.server.workers.reports import SessionName
from fakellm.server.workers.staging import Staging
from fakellm.server.workers.watched_state import WatchedState
from fakellm.server.workers.worker_app import WorkerSettings, reads_what_is_kept


class Owner:
    """The state of a server with workers. `app` must have `state`."""

    def __init__(self, app: App, state: WatchedState, settings: WorkerSettings) -> None:
        self._app = app
        self._state = state
        self.settings = settings
        self.steps = Steps()
        self.server = Server(app, settings.speed, None, settings.access, settings.connections, steps=self.steps)
        self.links: list[Link] = []
        self.staging = Staging(app, state, self.links)
        self._answered_here: set[str] = set()
        """The sessions whose requests to models the workers pass on."""
        app.traffic = Traffic()  # what the workers have sent: the server of this process sends nothing
        state.changed = self._forget

    def join(self, ready: asyncio.Future[None]) -> Link:
        """The end for one more worker. `ready`: done when it accepts connections."""
        link = Link(self, ready)
        self.links.append(link)
        return link

    def lost(self, link: Link) -> None:
        """A worker is gone."""
        self.links.remove(link)
        self._app.traffic.open -= link.counted.traffic.open
        self._count_caches()

    def open(self, name: str) -> tuple[int, int, bool]:
        """Opens a session for a worker: its serial number, the number of its engine, and whether its requests to models
        are answered here. Raises RequestError as `State.open` does."""
        session = self._app.session(name)
        assert isinstance(session, MemorySession)
        here = self._is_answered_here(name)
        (self._answered_here.add if here else self._answered_here.discard)(name)
        return self._state.serial(session), self._state.number(session.content), here

    def _is_answered_here(self, name: str) -> bool:
        """Whether the next requests to models in a session depend on more than a worker knows."""
        return self._app.next_fault(name) is not None

    async def engine(self, number: int) -> bytes | None:
        """The scenario of an engine, whether it is strict, and the number of its first rule, pickled; None if it is not
        served any more."""
        engine = self._state.engine(number)
        if engine is None:
            return None
        pickled: bytes = (
            await in_thread(lambda: pickle.dumps((engine.ruleset.scenario, engine.strict, engine.ruleset.first), 5))
        )()
        return long(pickled)

    def count(self, name: SessionName, key: tuple[Hashable, ...]) -> AttemptCount:
        """Counts one more attempt in a session. In one that has been replaced, nothing is counted any more."""
        session = self._state.named(name)
        return session.count(*key) if session else AttemptCount(1, False)

    def following(self, name: SessionName, key: tuple[Hashable, ...]) -> int:
        """The number that the next attempt in a session gets."""
        session = self._state.named(name)
        return session.following(*key) if session else 1

    def take(self, name: SessionName, demands: Sequence[Demand], attempt: Attempt | None) -> Attempted:
        """Takes what a request demands of the quotas of a session, and counts its attempt, if it is the next. Of those
        of one that has been replaced, nothing is used."""
        session = self._state.named(name)
        key, number = attempt or ((), 1)
        if session is None:
            return Attempted(AttemptCount(number, False), self._state.take_unused(demands))
        if attempt is None:
            return Attempted(AttemptCount(number, False), session.take(demands))
        return session.count_within(key, {number: demands}.get, float)

    def keep(self, name: SessionName, keeper: Keeper, request: Request, sent: bytes) -> None:
        """Keeps a reply of a session."""
        if session := self._state.named(name):
            session.store.add_reply(keeper, request, sent)

    async def answer(self, *sent: Any) -> tuple[Response, Owned]:
        """The response to a request that a worker has received, and its entry. What the response has changed holds for
        all workers then."""
        request = HttpRequest(*sent)
        reads = self._reads(request)
        with self.staging.read() if reads else nullcontext():
            if reads:
                await self.staging.flush(progress=sys.maxsize)
            response, owned = await self._response(request)
            try:
                await self._spread(request.target.session)
            except BaseException:
                self.over(owned, "client left")
                raise
        return response, owned

    def _reads(self, request: HttpRequest) -> bool:
        """Whether a request depends on what workers may not have reported: journals, what is kept, or which replies
        that hold something of quotas have ended."""
        session = self._state.find(request.target.session)
        limited = session is not None and bool(session.content.limits)
        return request.target.control or reads_what_is_kept(request) or limited

    async def _response(self, request: HttpRequest) -> tuple[Response, Owned]:
        response, entry, session = await self.server.answered(request)
        name = request.target.session
        owned = Owned(SessionName(name, 0), entry)
        owned.ended = response.ended
        found = self._state.find(name)
        if found is not session:
            owned.discarded = True
        elif found is not None and not request.target.control:
            owned.journaled(found)
        return replace(response, ended=None), owned

    async def _spread(self, name: str) -> None:
        """Returns when the workers have what a request to a session has changed."""
        if (name in self._answered_here) != self._is_answered_here(name):
            self._forget(name)
        if self.server.pace(None) != self.settings.speed:
            self._pace(self.server.pace(None))
        await answered(self.links)

    def over(self, owned: Owned, outcome: Ending) -> None:
        """A reply has ended in this way, which its worker does not report."""
        owned.entry.outcome, owned.entry.ended = outcome, asyncio.get_running_loop().time()
        owned.end()
        self.staging.changed(owned)

    async def watch(self, watch: Watch, reader: FarWatcher) -> None:
        """Sends what happens to a client of a worker. Raises RequestError as `Watching.serve` does."""
        with self.staging.watched():
            await self.server.feed.serve(reader, watch)
            await reader.drain()

    def counted(self, link: Link, now: Counted) -> None:
        """Adds to the numbers of the server what a worker has counted since it reported that last."""
        before, link.counted = link.counted, now
        late, traffic = self._app.lateness, self._app.traffic
        late.frames += now.late_frames - before.late_frames
        late.worst = max(late.worst, now.worst_lateness)
        traffic.add(now.traffic, before.traffic)
        self._count_caches()

    def _count_caches(self) -> None:
        found = [link.counted.cache_bytes for link in self.links]
        self._app.other_caches = sum(found), len(found) * self.settings.limits.cache_bytes

    def _forget(self, name: str) -> None:
        """Has the workers forget their copies of a session."""
        self._answered_here.discard(name)
        self._change("forget", name)

    def _pace(self, speed: float) -> None:
        """Has the workers divide delays by another number."""
        self.settings = replace(self.settings, speed=speed)
        self._change("speed", speed)

    def _change(self, name: str, content: Any) -> None:
        for link in self.links:
            link.call(name, content)
