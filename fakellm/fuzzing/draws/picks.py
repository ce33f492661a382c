"""What chooses, wherever something is drawn. Owns the protocol; knows neither what is drawn nor who chooses.

`fakellm.base.seed.Source` chooses for the fuzzer, so that a seed tries the same cases anywhere; hypothesis chooses for
the strategies, and shrinks by choosing an earlier thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Picks(Protocol):
    """Choices, one after the other."""

    def below(self, n: int) -> int:
        """A whole number from 0, the plainest, to n - 1."""
        ...

    def choice(self, items: Sequence[T]) -> T:
        """One of the items, of which the first is the plainest."""
        ...
