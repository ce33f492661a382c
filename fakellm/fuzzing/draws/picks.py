"""The source of every choice in a draw. Owns the protocol; knows neither what is drawn nor who chooses.

`fakellm.base.seed.Source` chooses for the fuzzer, so that a seed tries the same cases on any machine. Hypothesis
chooses for the strategies, and shrinks by choosing an earlier item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Picks(Protocol):
    """Makes one choice after the other."""

    def below(self, n: int) -> int:
        """An integer from 0, the plainest, to n - 1."""
        ...

    def choice(self, items: Sequence[T]) -> T:
        """One of the items; the first is the plainest."""
        ...
