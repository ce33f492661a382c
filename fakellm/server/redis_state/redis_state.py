"""The sessions of a server that shares them with others: copies of what Redis has of them. Implements `State`.

Redis has which scenario a session serves, the counts of its attempts and its quotas. Its journal and what APIs keep of
its replies are this server's own. Owns when a copy is read again, and that every server has a change before it is
confirmed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine
from fakellm.engine.state import AttemptCount, Attempted, Limits, MemorySession, MemoryState
from fakellm.server.redis_state.confirmations import Confirmations
from fakellm.server.redis_state.holdings import LEASE_SECONDS
from fakellm.server.redis_state.link import RedisLink
from fakellm.server.redis_state.redis_session import RedisSession
from fakellm.server.redis_state.scripts import CHANGE, COUNT, COUNTED, JOIN, OPEN, RENEW, REPLACE, SEND
from fakellm.server.redis_state.shared_quotas import Case, SharedQuotas, busy, give_back, keys

SESSION_SECONDS = 86_400
"""How long Redis keeps a session that no server uses."""
RENEW_SECONDS = SESSION_SECONDS // 4
"""How often a server states which sessions it uses."""
CONFIRM_SECONDS = 5.0
"""How long a change waits for the other servers."""
RETURN_SECONDS = 1.0
"""How long a request that would be refused waits for other servers to give back what ended replies have held."""

T = TypeVar("T")

_SERIALS, _SERVERS = "fakellm:serials", "fakellm:servers"


class OwnScenario(Struct, frozen=True):
    """A scenario that a session gets, as JSON. `first`: see `Ruleset`."""

    text: str
    strict: bool
    first: int

    @property
    def values(self) -> tuple[str, int, int]:
        """The arguments of a script."""
        return self.text, int(self.strict), self.first


class RedisState(MemoryState[Engine]):
    """The state of a server that shares it in the Redis at `url`: `start`, then `stop`, in one event loop. Raises
    ValueError if that is not a URL of Redis.

    real_time: whether the time of quotas passes by itself. engine: the engine of a session with its own scenario, or
    without. replace: calls what may replace sessions. The last two are set before it starts.
    """

    kind = RedisSession

    def __init__(self, url: str, limits: Limits, real_time: bool = False) -> None:
        super().__init__(limits)
        self._most_attempts = limits.max_attempts
        self._link = RedisLink(url, self._joined, self._received)
        self._reading = asyncio.Lock()
        self.quotas = SharedQuotas(self._link, SESSION_SECONDS, limits, real_time)
        self._confirmations = Confirmations()
        self._taking: set[asyncio.Task[Attempted]] = set()
        self._renewing: list[asyncio.Task[None]] = []
        self.engine: Callable[[OwnScenario | None], Awaitable[Engine]]
        self.replace: Callable[[Callable[[], None]], None]

    async def start(self) -> None:
        """Connects, and reads the session at the root. Raises ServerError if Redis cannot be reached."""
        await self._link.start()
        self._renewing = [
            asyncio.create_task(_repeated(RENEW_SECONDS, self.renew)),
            asyncio.create_task(_repeated(LEASE_SECONDS / 3, self.quotas.holdings.renew)),
        ]

    async def stop(self) -> None:
        """Disconnects."""
        for task in self._renewing:
            task.cancel()
        await self.quotas.holdings.settled()
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
        async with self._reading:
            if self.find(name) is None:
                await self._copy(name, self._link.call)

    async def put(self, name: str, scenario: OwnScenario | None) -> None:
        """Starts a session anew on all servers: with its own scenario, or that of the servers. Raises RequestError."""
        values = () if scenario is None else scenario.values
        await self._change(name, REPLACE, *values)

    async def edit(self, name: str, scenario: OwnScenario, before: RedisSession) -> None:
        """Has all servers serve a session with another scenario, made of that in `before`. Raises RequestError."""
        await self._change(name, CHANGE, *scenario.values, before.version)

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
        """Takes what the next attempt demands, and counts it if `word` has its count. Raises RequestError."""
        if all(demand.period for each in found for demand in each.demands):
            return await self._take(session, word, found)
        taking = asyncio.create_task(self._take(session, word, found))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:  # the client has left
            taking.add_done_callback(give_back)
            raise

    async def _take(self, session: RedisSession, word: str | None, found: Sequence[Case]) -> Attempted:
        def run(now: RedisSession) -> Awaitable[Attempted | None]:
            return self.quotas.take(now.name, now.serial, word, found)

        attempted = await self._in(session, run)
        if attempted.admission and busy(attempted.admission):
            # A client may have got a reply before the message arrived that gives back what it has held.
            with suppress(TimeoutError):
                await self._confirmations.of(partial(self._send, None), RETURN_SECONDS)
            attempted = await self._in(session, run)
        return attempted

    async def advance(self, session: RedisSession, milliseconds: int) -> int:
        """Lets time pass for the quotas of a session; returns how much has in all. Raises RequestError."""
        return await self._in(session, lambda now: self.quotas.advance(now.name, now.serial, milliseconds))

    async def _in(self, session: RedisSession, run: Callable[[RedisSession], Awaitable[T | None]]) -> T:
        """What a call returns in a session. If that is None, Redis has another session of this name, of which this
        server has not heard yet."""
        while (found := await run(session)) is None:
            async with self._reading:
                session = await self._copy(session.name, self._link.call)
        return found

    async def _send(self, name: str | None, number: str) -> int:
        """Sends a message with this number to all servers: `name` has a session, or they are to give back what replies
        have held. Returns how many get it."""
        servers: int = await self._link.call(SEND, [], self._link.channel, json.dumps([number, name]))
        return servers

    async def renew(self) -> None:
        """Has Redis keep the sessions that have been used since the last call, and forgets the copies of others, except
        that at the root."""
        for name, session in self.sessions().items():
            assert isinstance(session, RedisSession)
            if session.used or not name:
                session.used = False
                await self._link.call(RENEW, keys(name), SESSION_SECONDS)
            elif not session.replies:
                self.replace(partial(self.forget, name))

    async def _copy(self, name: str, run: Callable[..., Awaitable[Any]]) -> RedisSession:
        """Reads a session of Redis, and copies it unless the copy is up to date."""
        values = await run(OPEN, [*keys(name)[:1], _SERIALS], SESSION_SECONDS)
        serial, version, text, strict, first = values
        session = self.find(name)
        if not isinstance(session, RedisSession) or (session.serial, session.version) != (serial, version):
            scenario = None if text is None else OwnScenario(text, strict == "1", int(first))
            engine = await self.engine(scenario)
            self.replace(partial(self._adopt, name, engine, scenario is not None, serial))
            session = self.find(name)
            assert isinstance(session, RedisSession)
            session.version = version
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

    async def _change(self, name: str, script: str, *values: Any) -> None:
        """Changes a session in Redis, and waits until every server that Redis informs has the change."""
        session, *others = keys(name)

        def change(number: str) -> Awaitable[int]:
            message = json.dumps([number, name])
            channel = self._link.channel
            return self._link.call(script, [session, _SERIALS, *others], SESSION_SECONDS, channel, message, *values)

        try:
            servers = await self._confirmations.of(change, CONFIRM_SECONDS)
        except TimeoutError:
            message = (
                "Redis has the change, but not every server has confirmed it: a server that has lost Redis, or is "
                "busy, may answer as before for a while."
            )
            raise RequestError(503, message, "not_confirmed") from None
        if servers < 0:
            message = "Another request has changed the scenario of this session in the meantime; send this one again."
            raise RequestError(409, message, "session_changed")

    async def _joined(self) -> None:
        """Brings the copies up to date: this server has missed the changes while it could not reach Redis."""
        server = self._confirmations.server = await self._link.run(JOIN, [_SERVERS])
        await self.quotas.holdings.joined(server)
        async with self._reading:
            for name in self.sessions() or ("",):
                await self._copy(name, self._link.run)

    async def _received(self, message: str) -> None:
        """Applies a change of any server, this one too, and confirms it; or notes that one has confirmed it."""
        number, *names = json.loads(message)
        if not names:
            self._confirmations.confirm(number)
            return
        if names[0] is None:
            await self.quotas.holdings.settled()
            await self._link.send(json.dumps([number]))
            return
        with suppress(RequestError):  # if Redis is lost, all copies are brought up to date when it is back
            async with self._reading:
                if self.find(names[0]) is not None:
                    await self._copy(names[0], self._link.call)
            await self._link.send(json.dumps([number]))


async def _repeated(seconds: float, run: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        with suppress(RequestError):  # Redis cannot be reached now
            await run()
