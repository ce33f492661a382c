"""Which entries of a journal match a `when`, and which comes nearest to it. The code that matches rules compares them.

Owns how much is parsed on the event loop before other work gets its turn, and which comparisons another process makes:
those with a regular expression that could take long, and that nothing in this process could end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from typing import TypeVar

from msgspec import Struct

from fakellm.base.budget import BUDGET
from fakellm.base.json_text import writable
from fakellm.engine.entry import Entry, Kept
from fakellm.model.request import Request
from fakellm.scenarios.match_cost import MatchCost
from fakellm.scenarios.matching import When, checks, difference
from fakellm.scenarios.mistakes.difference import Difference
from fakellm.server.control.shown_entry import Parse
from fakellm.server.offload import in_thread
from fakellm.server.processes.budgeted import budgeted
from fakellm.server.processes.workers import Worker

T = TypeVar("T")

_BYTES_AT_ONCE = 64 * 1024
"""Bytes of bodies that the event loop parses before other work gets its turn; a thread parses a longer one."""

_BYTES_ELSEWHERE = 256 * 1024
"""Bytes of bodies whose requests another process compares at a time."""

_AT_ONCE = 20
"""How many requests are parsed and compared before other work gets its turn: some milliseconds if each is compared with
20 rules."""

MOST_MILLISECONDS = 8.0
"""The longest search with regular expressions in one request that this process makes, as far as it can be estimated."""


class Nearest(Struct, frozen=True):
    """The entry that does not match with the fewest differences, the latest of several, and those differences."""

    number: int
    method: str
    path: str
    differences: tuple[str, ...]


class Matches:
    """Compares entries with a `when`. Owns which of them comes nearest."""

    def __init__(self, when: When | None) -> None:
        self.when = when
        self.nearest: Nearest | None = None
        self.known: tuple[Difference, ...] | None = None
        """The differences of the next request, if another process has found them."""

    def matches(self, entry: Entry, request: Request | None) -> bool:
        """Whether an entry matches. `request`: as `search` has it."""
        known, self.known = self.known, None
        if self.when is None or entry.api is None or self.when == When():
            return self.when is None or entry.api is not None
        if request is None:
            return False
        differences = difference(self.when, request) if known is None else known
        if differences and (self.nearest is None or len(differences) <= len(self.nearest.differences)):
            texts = tuple(writable(str(each)) for each in differences)
            self.nearest = Nearest(entry.number, entry.method, entry.path, texts)
        return not differences


async def search(
    entries: Iterable[Entry],
    parse: Parse,
    compare: Callable[[Entry, Request | None], object],
    comparing: Sequence[Matches] = (),
) -> None:
    """Calls `compare` with each entry and its request: None if that is not for a model, or not valid. A thread parses
    and compares a long one. `comparing`: with what `compare` compares.

    Raises RequestError as `budgeted` does; the comparisons in another process have one time limit together.
    """

    def compared(entry: Entry) -> None:
        compare(entry, parse(entry))

    elsewhere = _Elsewhere(parse, comparing)
    if elsewhere.needed:
        await elsewhere.search(entries, compare)
        return
    count, size = 0, 0
    for entry in entries:
        length = body_length(entry)
        if length > _BYTES_AT_ONCE:
            (await in_thread(partial(compared, entry)))()
            continue
        compared(entry)
        count, size = count + 1, size + length
        if count >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            count, size = 0, 0
            await asyncio.sleep(0)


class _Elsewhere:
    """Has another process compare the requests with which this one could take long."""

    def __init__(self, parse: Parse, comparing: Sequence[Matches]) -> None:
        self._parse = parse
        self._comparing = [each for each in comparing if each.when is not None]
        self._whens = [each.when for each in self._comparing if each.when is not None]
        self._cost = MatchCost(check for when in self._whens for check in checks(when))
        self._seconds: float = BUDGET.work_seconds
        """What is left of the budget, for all requests together."""
        self.needed = self._cost.bound(0) == inf
        """Whether some comparison could take long."""

    async def search(self, entries: Iterable[Entry], compare: Callable[[Entry, Request | None], object]) -> None:
        """Calls `compare` with each entry and its request. Raises RequestError."""
        some: list[tuple[Entry, Request | None, bool]] = []
        size = 0
        for entry in entries:
            length = body_length(entry)
            some.append((entry, *await _run(partial(self._read, entry), length > _BYTES_AT_ONCE)))
            size += length
            if size >= _BYTES_ELSEWHERE:
                await self._compare(some, compare)
                some, size = [], 0
            await asyncio.sleep(0)
        await self._compare(some, compare)

    async def _compare(
        self, some: Sequence[tuple[Entry, Request | None, bool]], compare: Callable[[Entry, Request | None], object]
    ) -> None:
        """Compares some entries: those with which it could take long, all together. Raises RequestError."""
        slow = [request for _, request, slow in some if slow and request is not None]
        found = iter(await self._differences(slow) if slow else ())
        for entry, request, is_slow in some:
            if is_slow:
                for each, differences in zip(self._comparing, next(found), strict=True):
                    each.known = differences
            await _run(partial(compare, entry, request), body_length(entry) > _BYTES_AT_ONCE)
            await asyncio.sleep(0)

    async def _differences(self, requests: Sequence[Request]) -> Sequence[Sequence[tuple[Difference, ...]]]:
        return await budgeted(partial(self._compared, requests, asyncio.get_running_loop().time))

    def _read(self, entry: Entry) -> tuple[Request | None, bool]:
        request = self._parse(entry)
        return request, request is not None and self._cost.milliseconds(request) > MOST_MILLISECONDS

    def _compared(
        self, requests: Sequence[Request], now: Callable[[], float], worker: Worker
    ) -> Sequence[Sequence[tuple[Difference, ...]]]:
        start = now()
        try:
            return worker.call(self._seconds, _differences, self._whens, requests)
        finally:
            self._seconds -= now() - start


def _differences(whens: Sequence[When], requests: Sequence[Request]) -> Sequence[Sequence[tuple[Difference, ...]]]:
    """The other process: how each request differs from each of them."""
    return [[difference(when, request) for when in whens] for request in requests]


def body_length(entry: Entry) -> int:
    """How many bytes the body of a request takes that the server keeps."""
    return len(entry.request.body) if isinstance(entry.request, Kept) else 0


async def _run(run: Callable[[], T], long: bool) -> T:
    """What `run` returns; a thread calls it if that is long."""
    return (await in_thread(run))() if long else run()
