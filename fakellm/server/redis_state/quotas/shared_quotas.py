"""What requests take of the quotas of sessions, whose use is in Redis. Owns what is sent there and what it means.

Knows no scenario and no copies of sessions.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from math import inf
from typing import Any, NamedTuple

from fakellm.base.errors import RequestError
from fakellm.engine.state import Admission, AttemptCount, Attempted, Demands, Limits, still
from fakellm.quotas.buckets import MOST_QUOTAS, left
from fakellm.quotas.quota import Demand, Standing
from fakellm.server.redis_state.link import RedisLink
from fakellm.server.redis_state.quotas.holdings import LEASE_SECONDS, Holdings, as_json, holders, prefix
from fakellm.server.redis_state.quotas.quota_scripts import ADVANCE, TAKE

_AHEAD = 4
"""Of so many attempts that may demand something else, a server computes in advance what they demand: other servers may
have counted some."""
_MOST_PASSED = 2**52
"""Milliseconds that may pass in all: with more, the numbers of Lua are not exact."""


class Case(NamedTuple):
    """What attempts demand: those with the numbers from `first` to `last`."""

    first: int
    last: float
    demands: Sequence[Demand]


def cases(first: int, demands: Demands, until: Callable[[int], float]) -> list[Case]:
    """What the attempts from this one on demand, as far as that is known; `until` as in `Session.count_within`."""
    found: list[Case] = []
    while len(found) < _AHEAD and (demanded := demands(first)) is not None:
        found.append(Case(first, until(first), demanded))
        if found[-1].last == inf:
            break
        first = int(found[-1].last) + 1
    return found


class SharedQuotas:
    """The quotas of the sessions in a Redis. `seconds`: how long that keeps a session; `real_time`: whether the time of
    quotas passes by itself."""

    def __init__(self, link: RedisLink, seconds: int, limits: Limits, real_time: bool) -> None:
        self._link = link
        self._seconds = seconds
        self._most_counts = limits.max_attempts
        self._now = False if real_time else still()
        self.holdings = Holdings(link, seconds)
        self._latest: OrderedDict[tuple[str, str], int] = OrderedDict()
        """By the serial of a session and by count, the last attempt that this server knows of."""

    def following(self, serial: str, word: str) -> int:
        """The number that the next attempt gets, as far as this server knows."""
        return self._latest.get((serial, word), 0) + 1

    async def take(self, name: str, serial: str, word: str | None, found: Iterable[Case]) -> Attempted | None:
        """Takes what the next attempt demands, and counts it if `word` has its count. None if Redis has another session
        of this name. Raises RequestError."""
        found, returned = tuple(found), self.holdings.returned(serial)
        content = {
            "serial": serial,
            "seconds": self._seconds,
            "cases": [(each.first, each.last, list(map(_sent, each.demands))) for each in found],
            "count": False if word is None else word,
            "most_counts": self._most_counts,
            "most": MOST_QUOTAS,
            "now": self._now,
            "held": prefix(serial),
            "server": self.holdings.server,
            "lease": LEASE_SECONDS,
            "returned": returned,
        }
        try:
            result = await self._link.call(TAKE, [*keys(name), holders(serial)], as_json(content))
        except RequestError as error:
            self.holdings.lost({serial: returned}, error)
            raise
        return None if result is None else self._attempted(serial, word, found, result)

    def _attempted(self, serial: str, word: str | None, found: Sequence[Case], result: Sequence[Any]) -> Attempted:
        fits, number, forgotten, *others = result
        count = AttemptCount(number, bool(forgotten))
        if word is not None:
            self._learn((serial, word), number if fits == 1 else number - 1)
        if fits < 0:
            return Attempted(count, None)
        demands = next(each.demands for each in reversed(found) if each.first <= number <= each.last)
        now, *uses = others
        pairs = zip(demands, uses[::2], uses[1::2], strict=True)
        used = [units * (each.period or 1) + rest for each, units, rest in pairs]
        standing = Standing(left(demands, used, fits == 1), now)
        held = [(_word(each.key), each.amount) for each in demands if not each.period] if fits else []
        if not held:
            return Attempted(count, Admission(standing, None))
        self.holdings.hold(serial, held)
        return Attempted(count, Admission(standing, partial(self.holdings.give_back, serial, held)))

    def _learn(self, place: tuple[str, str], number: int) -> None:
        self._latest[place] = number
        self._latest.move_to_end(place)
        if len(self._latest) > self._most_counts:
            self._latest.popitem(last=False)

    async def advance(self, name: str, serial: str, milliseconds: int) -> int | None:
        """Lets time pass; returns how much has in all, or None if Redis has another session of this name. Raises
        RequestError."""
        session = keys(name)[:1]
        passed: int | None = await self._link.call(ADVANCE, session, self._seconds, serial, milliseconds, _MOST_PASSED)
        if passed is not None and passed < 0:
            message = f"Servers that share a session let {_MOST_PASSED // 1_000:,} seconds pass in all, not more."
            raise RequestError(400, message, "invalid_value", "seconds")
        return passed


def keys(name: str) -> list[str]:
    """The keys of a session, of its counts, of its quotas and of the order in which these were used."""
    return [f"fakellm:{kind}:{name}" for kind in ("session", "counts", "quotas", "order")]


def _sent(demand: Demand) -> tuple[str, int, int, int]:
    """A demand as the script reads it. Of a request that can never fit, one unit too much is enough."""
    return _word(demand.key), demand.limit, demand.period, min(demand.amount, demand.limit + 1)


def _word(key: tuple[Hashable, ...]) -> str:
    return ":".join(map(str, key))


def busy(admission: Admission) -> bool:
    """Whether a request waits for other replies to end."""
    return any(each.unit == "concurrent" and each.wait != 0 for each in admission.standing.left)


def give_back(taking: asyncio.Task[Attempted]) -> None:
    """Gives back what was taken for nobody."""
    if not taking.cancelled() and not taking.exception():
        _, admission = taking.result()
        if admission and admission.give_back:
            admission.give_back()
