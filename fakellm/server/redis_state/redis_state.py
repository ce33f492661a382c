"""The sessions of a server that shares them with others: copies of what Redis has of them. Implements `State`.

Redis has which scenario a session serves, the counts of its attempts, its quotas, and its journal. What APIs keep of
its replies is this server's own. Owns when a copy is read again, and that every server has a change before it is
confirmed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine
from fakellm.engine.state import AttemptCount, Attempted, Limits, MemorySession, MemoryState
from fakellm.server.redis_state.journals import Journals
from fakellm.server.redis_state.link import RedisLink, repeated
from fakellm.server.redis_state.quotas.holdings import LEASE_SECONDS
from fakellm.server.redis_state.quotas.shared_quotas import Case, SharedQuotas, busy, give_back, keys
from fakellm.server.redis_state.redis_session import OwnScenario, RedisSession
from fakellm.server.redis_state.scripts import CHANGE, COUNT, COUNTED, JOIN, OPEN, PACE, RENEW, REPLACE
from fakellm.server.redis_state.servers import Servers
from fakellm.server.redis_state.shared_fault import COUNT_FAULT, SET_FAULT
from fakellm.server.redis_state.shared_journal import SharedJournal

SESSION_SECONDS = 86_400
"""How long Redis keeps a session that no server uses."""
RENEW_SECONDS = SESSION_SECONDS // 4
"""How often a server states which sessions it uses."""

T = TypeVar("T")

log = logging.getLogger("fakellm")

NOT_CONFIRMED = (
    "Redis has the change, but not every server has confirmed it: a server that has lost Redis, or is busy, may answer "
    "as before for a while."
)

_SPEED = "fakellm:speed"
_SERIALS, _SERVERS = "fakellm:serials", "fakellm:servers"


class RedisState(MemoryState[Engine]):
    """The state of a server that shares it in the Redis at `url`: `start`, then `stop`, in one event loop. Raises
    ValueError if that is not a URL of Redis.

    real_time: whether the time of quotas passes by itself. engine: the engine of a session with its own scenario, or
    without. replace: calls what may replace sessions. pace: called with what Redis has as everybody's
    speed. fault: called with what a copy has of a fault for the next requests. The last four are set before it starts.
    """

    kind = RedisSession

    def __init__(self, url: str, limits: Limits, real_time: bool = False) -> None:
        super().__init__(limits)
        self._most_attempts = limits.max_attempts
        self._link = RedisLink(url, self._joined, self._received)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._servers = Servers(self._link)
        self.journals = Journals(self._link, self._servers, self, limits, SESSION_SECONDS)
        self._shelf = self.journals.shelf
        self.quotas = SharedQuotas(self._link, SESSION_SECONDS, limits, real_time)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._renewing: list[asyncio.Task[None]] = []
        self.engine: Callable[[OwnScenario | None], Awaitable[Engine]]
        self.fault: Callable[[RedisSession, str | None, str | None, str | None], Awaitable[None]]
        self.replace: Callable[[Callable[[], None]], None]
        self.pace: Callable[[Any], object]

    async def start(self) -> None:
        """Connects, and reads the session at the root. Raises ServerError if Redis cannot be reached."""
        await self._link.start()
        self._renewing = [
            asyncio.create_task(repeated(RENEW_SECONDS, self.renew)),
            asyncio.create_task(repeated(LEASE_SECONDS / 3, self.quotas.holdings.renew)),
        ]

    async def stop(self) -> None:
        """Disconnects."""
        for task in self._renewing:
            task.cancel()
        await self.quotas.holdings.settled()
        await self.journals.stop()
        await self._link.stop()

    def open(self, name: str, content: Engine) -> MemorySession[Engine]:
        """The session with this name, which has been read."""
        found = self.find(name)
        if found is None:
            raise RequestError(503, f"This server does not have the session {name!r} now.", "session_changed")
        assert isinstance(found, RedisSession)
        found.used = True
        return super().open(name, content)

    async def read(self, name: str) -> None:
        """Copies a session, which starts if Redis does not have it. Raises RequestError."""
        async with self._reading(name):
            if self.find(name) is None:
                await self._copy(name, self._link.call)

    async def read_again(self, name: str) -> None:
        """Brings the copy of a session up to date. Raises RequestError."""
        async with self._reading(name):
            await self._copy(name, self._link.call)

    async def read_all(self) -> None:
        """Copies all sessions that Redis has, and brings their journals up to date. Raises RequestError."""
        names = [each.removeprefix(keys("")[0]) for each in await self._link.names(keys("*")[0])]
        await self.journals.read_all(names)

    def journal(self, name: str) -> SharedJournal | None:
        """The journal of a session, if there is a copy of it."""
        found = self.find(name)
        return found.journal if isinstance(found, RedisSession) else None

    async def put(self, name: str, scenario: OwnScenario | None) -> None:
        """Starts a session anew on all servers: with its own scenario, or that of the servers. Raises RequestError."""
        values = () if scenario is None else scenario.values
        await self._change(name, REPLACE, *values)

    async def edit(self, name: str, scenario: OwnScenario, before: RedisSession) -> None:
        """Has all servers serve a session with another scenario, made of that in `before`. Raises RequestError."""
        await self._change(name, CHANGE, *scenario.values, before.version)

    async def set_speed(self, speed: float) -> None:
        """Has all servers divide delays by another number. Raises RequestError."""
        await self._link.call(PACE, [_SPEED], SESSION_SECONDS, repr(speed))
        _confirmed(await self._servers.ask("speed", speed))

    async def count(self, session: RedisSession, word: str) -> AttemptCount:
        """Counts one more attempt. Raises RequestError."""

        def run(now: RedisSession) -> Awaitable[Any]:
            return self._link.call(COUNT, keys(now.name)[:2], SESSION_SECONDS, now.serial, word, self._most_attempts)

        number, forgotten = await self._in(session, run)
        return AttemptCount(number, bool(forgotten))

    async def counted(self, session: RedisSession, word: str) -> AttemptCount:
        """The last attempt that was counted. Raises RequestError."""
        number, forgotten = await self._link.call(COUNTED, keys(session.name)[:2], word)
        return AttemptCount(number, bool(forgotten))

    async def take(self, session: RedisSession, word: str | None, found: Sequence[Case]) -> Attempted:
        """Takes what the next attempt demands, and counts it if `word` has its count. Raises RequestError. If that is
        cancelled, Redis still learns what has been given back."""
        taking = self._start(self._take(session, word, found))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:  # the client has left
            taking.add_done_callback(give_back)
            raise

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _take(self, session: RedisSession, word: str | None, found: Sequence[Case]) -> Attempted:
        def run(now: RedisSession) -> Awaitable[Attempted | None]:
            return self.quotas.take(now.name, now.serial, word, found)

        attempted = await self._in(session, run)
        if attempted.admission and busy(attempted.admission):
            # A client may have got a reply before the message arrived that gives back what it has held.
            await self._servers.ask("return")
            attempted = await self._in(session, run)
        return attempted

    async def advance(self, session: RedisSession, milliseconds: int) -> int:
        """Lets time pass for the quotas of a session; returns how much has in all. Raises RequestError."""
        passed = await self._in(session, lambda now: self.quotas.advance(now.name, now.serial, milliseconds))
        await self.spread(session.name)
        return passed

    async def set_fault(self, session: RedisSession, *fault: Any) -> None:
        """Sets a fault for the next requests; without its JSON and how many they are, ends it. Raises RequestError."""
        values = (self._servers.number(), *fault) if fault else ()

        def run(now: RedisSession) -> Awaitable[Any]:
            return self._link.call(SET_FAULT, keys(now.name)[:1], SESSION_SECONDS, now.serial, *values)

        await self._in(session, run)
        await self.spread(session.name)

    async def count_fault(self, name: str, number: str, change: int) -> int:
        """Adds to the requests that a fault is left for; returns how many these are, or -1. Raises RequestError."""
        left: int = await self._link.call(COUNT_FAULT, keys(name)[:1], number, change)
        return left

    async def spread(self, name: str) -> None:
        """Has all servers bring their copies of a session up to date. Raises RequestError, also if one does not."""
        _confirmed(await self.announce(name))

    async def announce(self, name: str) -> bool:
        """As `spread`, but returns whether all servers have. Raises RequestError if Redis cannot be reached."""
        return await self._servers.ask("change", name)

    async def _in(self, session: RedisSession, run: Callable[[RedisSession], Awaitable[T | None]]) -> T:
        """What a call returns in a session. If that is None, Redis has another session of this name, of which this
        server has not heard yet."""
        while (found := await run(session)) is None:
            async with self._reading(session.name):
                session = await self._copy(session.name, self._link.call)
        return found

    async def renew(self) -> None:
        """Has Redis keep the sessions that have been used since the last call, and forgets the copies of others, except
        that at the root."""
        await self._link.call(PACE, [_SPEED], SESSION_SECONDS)
        for name, session in self.sessions().items():
            assert isinstance(session, RedisSession)
            if session.used or not name:
                session.used = False
                await self._link.call(RENEW, keys(name), SESSION_SECONDS)
                await self.journals.keep(name)
            elif not session.replies:
                self.replace(partial(self.forget, name))

    def _reading(self, name: str) -> asyncio.Lock:
        """What has one task at a time copy a session: it may have to be compiled, for which no other session waits."""
        return self._locks.setdefault(name, asyncio.Lock())

    async def _copy(self, name: str, run: Callable[..., Awaitable[Any]]) -> RedisSession:
        """Reads a session of Redis, and copies it unless the copy is up to date. There is no copy of one that this
        server cannot serve."""
        values = await run(OPEN, [*keys(name)[:1], _SERIALS], SESSION_SECONDS)
        try:
            return await self._copied(name, *values)
        except RequestError:
            self.replace(partial(self.forget, name))
            raise

    async def _copied(
        self, name: str, serial: str, version: str, text: str, strict: str, first: str, advanced: str, *fault: Any
    ) -> RedisSession:
        session = self.find(name)
        if not isinstance(session, RedisSession) or (session.serial, session.version) != (serial, version):
            scenario = None if text is None else OwnScenario(text, strict == "1", int(first))
            engine = await self.engine(scenario)
            self.replace(partial(self._adopt, name, engine, scenario is not None, serial))
            session = self.find(name)
            assert isinstance(session, RedisSession)
            session.version = version
        session.journal.advanced = int(advanced or 0) / 1_000
        await self.fault(session, *fault)
        return session

    def _adopt(self, name: str, engine: Engine, own: bool, serial: str) -> None:
        found = self.find(name)
        if isinstance(found, RedisSession) and found.serial == serial:
            self.change(name, engine)
            return
        self.forget(name)
        session = self.load(name, engine) if own else super().open(name, engine)
        assert isinstance(session, RedisSession)
        session.shared, session.name, session.serial = self, name, serial
        session.journal = self.journals.journal(name, serial)

    async def _change(self, name: str, script: str, *values: Any) -> None:
        """Changes a session in Redis, and waits until every server that Redis informs has the change."""
        session, *others = keys(name)

        async def change(*message: str) -> Any:
            every = [session, _SERIALS, *others]
            servers = await self._link.call(script, every, SESSION_SECONDS, *message, *values)
            if servers is None:
                await self.read_again(name)  # what has changed may be that Redis has lost it, which nobody announces
                text = "Another request has changed the scenario of this session in the meantime; send this one again."
                raise RequestError(409, text, "session_changed")
            return servers

        _confirmed(await self._servers.ask("change", name, change))

    async def _joined(self) -> None:
        """Brings the copies up to date: this server has missed the changes while it could not reach Redis."""
        number = await self._link.run(JOIN, [_SERVERS])
        await self._servers.join(number)
        await self.quotas.holdings.joined(number)
        copies = self.sessions()
        for name in copies:
            await self._copy_again(name)
        if not copies:
            await self._copy("", self._link.run)
        if (speed := await self._link.run(PACE, [_SPEED], SESSION_SECONDS)) is not None:
            self.pace(speed)
        asyncio.get_running_loop().call_soon(self.journals.connected)  # by then, calls can be made

    async def _copy_again(self, name: str) -> None:
        """Brings a copy up to date, if this server can serve the session."""
        async with self._reading(name):
            try:
                await self._copy(name, self._link.run)
            except RequestError as error:
                log.error("the session %r cannot be served: %s", name, error)

    async def _received(self, message: bytes) -> None:
        """Does what a server has sent, this one too."""
        kind, number, content = json.loads(message)
        if kind == "change":
            self._start(self._changed(number, content))  # what follows does not wait until a scenario is compiled
        elif kind == "flush":
            with suppress(RequestError):
                await self.journals.flushed(number)
        elif kind == "speed":
            self.pace(content)
            await self._servers.answer(number)
        elif kind == "return":
            await self.quotas.holdings.settled()
            await self._servers.answer(number)
        elif kind == "written":
            self.journals.announced(content)
        elif kind == "answer":
            self._servers.answered(number, content)

    async def _changed(self, number: str, name: str) -> None:
        """Applies a change, and confirms it."""
        try:
            async with self._reading(name):
                if self.find(name) is not None:
                    await self._copy(name, self._link.call)
        except RequestError:  # if Redis is lost, all copies are brought up to date when it is back
            log.debug("the session %r cannot be read now", name, exc_info=True)
        except Exception:
            log.exception("a change of the session %r is lost", name)
        else:
            await self._servers.answer(number)


def _confirmed(by_all: bool) -> None:
    if not by_all:
        raise RequestError(503, NOT_CONFIRMED, "not_confirmed")
