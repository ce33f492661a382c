"""The servers that share their sessions: what a server sends to all of them, and which are there.

Owns a server's name, how far the time of Redis is ahead of its clock, and how long one that does not answer is waited
for. Each listens to a channel of its own, so that Redis knows at once which of them are gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from fakellm.server.redis_state.journal_scripts import ASK, ENTER
from fakellm.server.redis_state.link import RedisLink

ANSWER_SECONDS = 5.0
"""How long a server is waited for: then a change counts as not confirmed, and a journal is read without what it has not
written."""

_LOOK_SECONDS = 0.5
"""How often it is checked meanwhile whether it is still there."""

_CLOCK_SECONDS = 86_400
"""How long Redis keeps the clock of a machine that no server has joined from."""
_WRONG_SECONDS = 0.5
"""A clock that seems to be further off is measured anew: the machine was asleep, or Redis has another time."""

THERE = "return redis.call('PUBSUB', 'CHANNELS', ARGV[1])"
"""Argument: the pattern of the channels of servers. Returns those of the servers that are there."""

TIME = "return redis.call('TIME')"
"""Returns the time of Redis: seconds since 1970, and microseconds."""

log = logging.getLogger("fakellm")


class _Question:
    """A message that servers are to answer, and which of them have."""

    def __init__(self) -> None:
        self.answered: set[str] = set()
        self._more = asyncio.Event()

    def answer(self, server: str) -> None:
        self.answered.add(server)
        self._more.set()

    async def by(self, servers: Collection[str]) -> None:
        """Returns when all of these have answered."""
        while not self.answered.issuperset(servers):
            self._more.clear()
            await self._more.wait()


class Servers:
    """All servers, as one of them knows them."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._numbers = count(1)
        self._questions: dict[str, _Question] = {}
        self._silent: set[str] = set()
        """Those that have not answered for long, and are not waited for until they do."""
        self.name = ""
        self.clock = 0.0
        """How many seconds the time of Redis is ahead of this machine's clock."""

    @property
    def pattern(self) -> str:
        """That of the channels of all servers."""
        return f"{self._link.channel}:*"

    def named(self, channels: Collection[str]) -> set[str]:
        """The names of the servers that listen to these channels."""
        return {channel.removeprefix(self.pattern[:-1]) for channel in channels}

    def number(self) -> str:
        """A number for a message, which no other has."""
        return f"{self.name}:{next(self._numbers)}"

    async def join(self, number: str) -> None:
        """Must be called whenever this server has connected. `number`: which no other has, if it has no name yet.
        Raises what the package redis raises."""
        self.name = self.name or f"{socket.gethostname()}:{os.getpid()}:{number}"
        values = _CLOCK_SECONDS, machine() or self.name, repr(await self._measured()), _WRONG_SECONDS
        self.clock = float(await self._link.run(ENTER, ["fakellm:clocks"], *values))
        await self._link.listen(f"{self.pattern[:-1]}{self.name}")

    async def _measured(self) -> float:
        """How far the time of Redis is ahead of this machine's clock: of three measurements, the fastest."""
        now, found = asyncio.get_running_loop().time, []
        for _ in range(3):
            before = now()
            seconds, microseconds = await self._link.run(TIME, [])
            after = now()
            found.append((after - before, int(seconds) + int(microseconds) / 1_000_000 - (before + after) / 2))
        return min(found)[1]

    async def ask(self, kind: str, content: Any = None, send: Callable[..., Awaitable[Any]] | None = None) -> bool:
        """Sends all servers a message, and returns when they have answered; whether all have. Raises RequestError if
        Redis cannot be reached. Whoever does not answer for ANSWER_SECONDS is not waited for again until it does, and
        the log has its name. `send`: sends it together with a change, and does and returns what ASK does."""
        number = self.number()
        question = self._questions[number] = _Question()
        try:
            message = json.dumps([kind, number, content])
            send = send or partial(self._link.call, ASK, [])
            channels = await send(self._link.channel, message, self.pattern)
            self._silent &= self.named(channels)
            servers = await self._answers(question, self.named(channels))
            if late := servers - self._silent - question.answered:
                self._silent |= late
                names = ", ".join(sorted(late))
                log.warning("servers do not answer, so it is not known what they received last: %s", names)
            return servers <= question.answered
        finally:
            del self._questions[number]

    async def _answers(self, question: _Question, servers: set[str]) -> set[str]:
        """Waits for the answers of these servers, and returns those that are still there."""
        now = asyncio.get_running_loop().time
        end = now() + ANSWER_SECONDS
        while not question.answered.issuperset(servers - self._silent) and now() < end:
            try:
                async with asyncio.timeout(min(_LOOK_SECONDS, ANSWER_SECONDS)):
                    await question.by(servers - self._silent)
            except TimeoutError:
                servers &= self.named(await self._link.call(THERE, [], self.pattern))
        return servers

    async def answer(self, number: str) -> None:
        """Answers another server, or this one."""
        await self._link.send(json.dumps(["answer", number, self.name]))

    def answered(self, number: str, server: str) -> None:
        """A server has answered."""
        self._silent.discard(server)
        if question := self._questions.get(number):
            question.answer(server)


def machine() -> str:
    """What identifies this machine until it is started again: its processes have the same clock. Empty if unknown."""
    with suppress(OSError):
        return f"{socket.gethostname()}/{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    return ""
