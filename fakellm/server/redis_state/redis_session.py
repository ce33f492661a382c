"""A session of a server that shares it with others: what it counts and what it takes of quotas is in Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct

from fakellm.engine.engine import Engine
from fakellm.engine.state import Admission, AttemptCount, Attempted, Demands, MemorySession
from fakellm.quotas.quota import Demand
from fakellm.server.redis_state.quotas.shared_quotas import Case, cases
from fakellm.server.redis_state.shared_journal import SharedJournal

if TYPE_CHECKING:
    from fakellm.server.redis_state.redis_state import RedisState


class OwnScenario(Struct, frozen=True):
    """A scenario that a session gets, as JSON. `first`: see `Ruleset`."""

    text: str
    strict: bool
    first: int

    @property
    def values(self) -> tuple[str, int, int]:
        """The arguments of a script."""
        return self.text, int(self.strict), self.first


class RedisSession(MemorySession[Engine]):
    """A copy of a session, whose counts and quotas are in Redis."""

    shared: RedisState
    journal: SharedJournal
    name: str
    serial = ""
    version = ""
    used = True

    def count(self, *key: Hashable) -> Awaitable[AttemptCount]:  # type: ignore[override] # Redis counts
        return self.shared.count(self, word(key))

    def counted(self, *key: Hashable) -> Awaitable[AttemptCount]:  # type: ignore[override] # Redis counts
        return self.shared.counted(self, word(key))

    def following(self, *key: Hashable) -> int:
        return self.shared.quotas.following(self.serial, word(key))

    async def take(self, demands: Sequence[Demand]) -> Admission:  # type: ignore[override] # Redis has the quotas
        _, admission = await self.shared.take(self, None, [Case(1, inf, demands)])
        assert admission
        return admission

    async def count_within(  # type: ignore[override] # Redis has the quotas
        self, key: tuple[Hashable, ...], demands: Demands, until: Callable[[int], float]
    ) -> Attempted:
        attempted = Attempted(AttemptCount(self.following(*key), False), None)
        while attempted.admission is None:  # until Redis has one of those attempts that are computed in advance
            found = cases(attempted.attempt.number, demands, until)
            if not found:
                break
            attempted = await self.shared.take(self, word(key), found)
        return attempted

    async def advance(self, milliseconds: int) -> int:  # type: ignore[override] # Redis has the time
        return await self.shared.advance(self, milliseconds)


def word(key: tuple[Hashable, ...]) -> str:
    """The name of a count in Redis."""
    return ":".join(map(str, key))
