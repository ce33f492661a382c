"""The quotas of all sessions: how much of each is used. Owns the arithmetic, and the bound on how many are kept.

A quota is a bucket that fills up evenly, as at OpenAI and Anthropic: of 60 requests per minute, one comes back each
second. Numbers are whole, so that nothing is lost by rounding. Knows no scenario and no clock.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from fakellm.quotas.quota import Demand, Left
from fakellm.quotas.recent import Recent

MOST_QUOTAS = 10_000
"""Quotas of which a server knows the use; the least recently used is then as if nothing of it were used."""


class Quotas:
    """How much of each quota is used. Every method is one step that nothing interrupts. A time before that of an
    earlier step counts as that."""

    def __init__(self, most: int = MOST_QUOTAS) -> None:
        self._used: Recent[tuple[int, int]] = Recent(most)
        """By quota: what is used of it, in units times its period, and when that was so."""
        self._held: dict[Hashable, int] = {}
        """By quota: what requests hold whose replies have not ended."""

    def take(self, owner: Hashable, demands: Sequence[Demand], now: int) -> tuple[Left, ...]:
        """Takes what a request demands of the quotas of `owner`, at a time in milliseconds; nothing if it does not fit
        into each of them."""
        uses = [self._use((owner, each.key), each, now) for each in demands]
        if any(_over(each, use) > 0 for use, each in zip(uses, demands, strict=True)):
            return left(demands, uses, False)
        after = [use + each.amount * _scale(each) for use, each in zip(uses, demands, strict=True)]
        for each, use in zip(demands, after, strict=True):
            self._keep((owner, each.key), each, use, now)
        return left(demands, after, True)

    def give_back(self, owner: Hashable, demands: Sequence[Demand]) -> None:
        """Gives back what a request has held, after its reply has ended."""
        for each in demands:
            if not each.period:
                self._keep((owner, each.key), each, self._held[owner, each.key] - each.amount, 0)

    def end(self, owner: Hashable) -> None:
        """An owner has ended: what it has used counts no longer. What requests hold is still given back."""
        self._used.end(owner)

    def _use(self, place: tuple[Hashable, ...], demand: Demand, now: int) -> int:
        """What is used of a quota now."""
        if not demand.period:
            return self._held.get(place, 0)
        used, then = self._used.get(place) or (0, now)
        return max(used - max(now - then, 0) * demand.limit, 0)

    def _keep(self, place: tuple[Hashable, ...], demand: Demand, use: int, now: int) -> None:
        if demand.period:
            _, then = self._used.get(place) or (0, now)
            self._used.set(place, (use, max(now, then)))
        elif use:
            self._held[place] = use
        else:
            del self._held[place]


def left(demands: Sequence[Demand], uses: Sequence[int], fits: bool) -> tuple[Left, ...]:
    """What is left of each quota. `uses`: what is used of it, in units times its period, or in units if it has none;
    with what the request has taken, if it fits."""
    return tuple(_left(each, use, 0 if fits else _over(each, use)) for each, use in zip(demands, uses, strict=True))


def _over(demand: Demand, use: int) -> int:
    """By how much a request exceeds a quota of which this is used."""
    return use + (demand.amount - demand.limit) * _scale(demand)


def _scale(demand: Demand) -> int:
    """What one unit counts for: in each millisecond, as much as the limit comes back."""
    return demand.period or 1


def _left(demand: Demand, use: int, over: int) -> Left:
    limit, scale = demand.limit, _scale(demand)
    remaining = (limit * scale - use) // scale
    if not demand.period:
        return Left(demand.unit, limit, remaining, wait=None if over > 0 else 0)
    wait = None if demand.amount > limit else max(-(-over // limit), 0)
    return Left(demand.unit, limit, remaining, -(-use // limit), wait)
