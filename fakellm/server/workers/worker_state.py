"""The sessions of a worker: copies of the owner's, which has their state. Implements `State`.

A copy has a compiled scenario and is forgotten when the owner requires it; what happens in it is reported to the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NoReturn

from fakellm.apis.operation import Keeper
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine
from fakellm.engine.entry import Entry
from fakellm.engine.journal import Journal, Shelf
from fakellm.engine.state import Admission, AttemptCount, Attempted, Demands
from fakellm.engine.stored import SessionStore, StoreShelf
from fakellm.model.request import Request
from fakellm.quotas.quota import Demand, Standing
from fakellm.server.workers.channel import Channel
from fakellm.server.workers.owned import Attempt
from fakellm.server.workers.reports import Reports, SessionName

Fetch = Callable[[int], Awaitable[Engine | None]]


class ReportedJournal(Journal):
    """A journal that keeps nothing: its entries are reported to the owner."""

    def __init__(self, session: SessionName, reports: Reports) -> None:
        super().__init__(Shelf(0))
        self._session = session
        self._reports = reports

    def add(self, entry: Entry) -> None:
        self._reports.add(self._session, entry)

    def remeasure(self, entry: Entry) -> None:
        self._reports.changed(entry)


class ReportedStore(SessionStore):
    """A store that keeps nothing: replies are reported to the owner, which answers what reads them."""

    def __init__(self, session: SessionName, channel: Channel) -> None:
        super().__init__(StoreShelf(0))
        self._session = session
        self._channel = channel

    def add_reply(self, keeper: Keeper, request: Request, sent: bytes) -> None:
        self._channel.notify("keep", self._session, keeper, request, sent)


class WorkerSession:
    """A copy of a session of the owner. `elsewhere`: whether the owner answers its requests to models."""

    own = False

    def __init__(
        self, session: SessionName, content: Engine, elsewhere: bool, channel: Channel, reports: Reports
    ) -> None:
        self.content = content
        self.elsewhere = elsewhere
        self.journal: Journal = ReportedJournal(session, reports)
        self.store: SessionStore = ReportedStore(session, channel)
        self._session = session
        self._channel = channel

    def count(self, *key: Hashable) -> Awaitable[AttemptCount]:
        return self._channel.call("count", self._session, key)

    def following(self, *key: Hashable) -> Awaitable[int]:
        return self._channel.call("following", self._session, key)

    async def take(self, demands: Sequence[Demand]) -> Admission:
        _, admission = await self._take(demands)
        assert admission
        return admission

    async def count_within(
        self, key: tuple[Hashable, ...], demands: Demands, until: Callable[[int], float]
    ) -> Attempted:
        attempted = Attempted(AttemptCount(await self.following(*key), False), None)
        while attempted.admission is None:  # until no other request has come in the meantime
            number = attempted.attempt.number
            found = demands(number)
            if found is None:
                break
            attempted = await self._take(found, (key, number))
        return attempted

    async def _take(self, demands: Sequence[Demand], attempt: Attempt | None = None) -> Attempted:
        """What the owner gives for these demands, and for this attempt, if one is to be counted."""
        taking = self._channel.call("take", self._session, demands, attempt)
        try:
            count, standing, grant = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._not_needed)
            raise
        return Attempted(count, standing and Admission(standing, grant and partial(self._give_back, grant)))

    def _not_needed(self, taking: asyncio.Future[tuple[AttemptCount, Standing | None, int | None]]) -> None:
        """Gives back what was taken for a client that has left."""
        if not taking.cancelled() and taking.exception() is None and (grant := taking.result()[2]):
            self._give_back(grant)

    def _give_back(self, grant: int) -> None:
        self._channel.notify("give_back", grant)

    def advance(self, milliseconds: int) -> NoReturn:
        raise NotImplementedError("the owner of the state has the time of quotas")

    def counted(self, *key: Hashable) -> NoReturn:
        raise NotImplementedError("the owner of the state has the counts")

    def reply(self) -> AbstractContextManager[None]:
        return nullcontext()  # the owner knows it from the entry


class WorkerState:
    """The sessions that this worker has needed since the owner changed them last."""

    def __init__(self, channel: Channel, reports: Reports) -> None:
        self._channel = channel
        self._reports = reports
        self._sessions: dict[str, WorkerSession] = {}
        self._fetching: dict[str, asyncio.Future[None]] = {}

    def find(self, name: str) -> WorkerSession | None:
        return self._sessions.get(name)

    def open(self, name: str, content: Engine) -> WorkerSession:
        """The session with this name, which has been fetched."""
        found = self._sessions.get(name)
        if found is None:
            raise RequestError(503, f"This worker does not have the session {name!r} now.", "session_changed")
        return found

    async def fetch(self, name: str, engine: Fetch) -> None:
        """Has the owner open a session, and copies it, unless it changes meanwhile. `engine`: returns the engine that
        has this number at the owner, or None if it is not served any more. Raises RequestError as `State.open`."""
        if name not in self._fetching:
            fetching = asyncio.ensure_future(self._fetched(name, engine))
            self._fetching[name] = fetching
            fetching.add_done_callback(partial(self._ended, name))
        await asyncio.shield(self._fetching[name])

    async def _fetched(self, name: str, engine: Fetch) -> None:
        fetching = asyncio.current_task()
        serial, number, elsewhere = await self._channel.call("open", name)
        content = await engine(number)
        if content is not None and self._fetching.get(name) is fetching:
            session = SessionName(name, serial)
            self._sessions[name] = WorkerSession(session, content, elsewhere, self._channel, self._reports)

    def _ended(self, name: str, fetching: asyncio.Future[None]) -> None:
        if self._fetching.get(name) is fetching:
            del self._fetching[name]

    def forget(self, name: str) -> None:
        self._sessions.pop(name, None)
        self._fetching.pop(name, None)

    def sessions(self) -> Mapping[str, WorkerSession]:
        return dict(self._sessions)

    def load(self, name: str, content: Engine) -> NoReturn:
        raise NotImplementedError("the owner of the state loads scenarios")

    change = load

    def held(self) -> NoReturn:
        raise NotImplementedError("the owner of the state has what is held")
