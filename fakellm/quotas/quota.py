"""A quota as clients see it: how much it allows, and what is left. Knows no API's headers, no scenario and no clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from msgspec import Struct

Unit = Literal["requests", "tokens", "input_tokens", "output_tokens", "concurrent"]
"""What a quota counts; `tokens`: those of the prompt and of the reply together."""


class Demand(Struct, frozen=True):
    """What one request takes of one quota.

    key: identifies the quota within its session.
    limit: how much the quota holds.
    period: the milliseconds in which all of it comes back, evenly; 0 if what a request takes comes back when its reply
        has ended.
    """

    key: tuple[str, ...]
    unit: Unit
    limit: int
    period: int
    amount: int


class Left(Struct, frozen=True):
    """What is left of one quota after a request; times are in milliseconds.

    reset: until nothing of it is used.
    wait: until the request that was refused would fit, 0 if it fits; None if no time alone brings that about: it
        requests more than the quota holds, or other replies must end first.
    """

    unit: Unit
    limit: int
    remaining: int
    reset: int = 0
    wait: int | None = 0


class Standing(Struct, frozen=True):
    """Whether the quotas allow a request, and what is left of each, in the order of the demands. `now`: the time, in
    milliseconds since 1970."""

    left: tuple[Left, ...]
    now: int

    @property
    def allowed(self) -> bool:
        """Whether the request fits into all quotas; only then has it used any of them."""
        return all(each.wait == 0 for each in self.left)

    @property
    def wait(self) -> int | None:
        """Milliseconds until the same request fits into all quotas, if nobody else takes of them."""
        waits = [each.wait for each in self.left if each.wait is not None]
        return max(waits, default=0) if len(waits) == len(self.left) else None

    def scarcest(self, units: Collection[Unit]) -> Left | None:
        """Of the quotas that count one of these units, that with the least remaining; None if there is none."""
        return min((each for each in self.left if each.unit in units), key=lambda each: each.remaining, default=None)


TOKENS: Sequence[Unit] = ("tokens", "input_tokens", "output_tokens")
"""The units in which tokens are counted."""


def seconds(milliseconds: int) -> int:
    """Whole seconds that are not shorter."""
    return -(-milliseconds // 1_000)
