"""Estimates how long it takes to find the rule that a request matches, so that a long search runs elsewhere.

Knows the conditions that read texts; all others take next to no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fakellm.generate.json_schema.regex_cost import Growth, growth
from fakellm.model.request import Request

if TYPE_CHECKING:
    from fakellm.scenarios.matching import Check

_EACH = 0.0003
"""Milliseconds for one condition."""
_CHARACTERS = 2_000_000
"""Characters in which a text is searched for in a millisecond."""
_FEW = 200
"""So many expressions are examined one by one."""


class _Field(Struct):
    """The conditions on one value of a request."""

    read: Callable[[Request], Any]
    count: int = 0
    growths: dict[Growth, int] = {}


class MatchCost:
    """The time that matching takes with these conditions."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._fields: dict[str, _Field] = {}
        self._count = 0
        self._steady = True
        for check in checks:
            self._count += 1
            regex = check.expected.get("regex") if isinstance(check.expected, dict) else None
            if isinstance(check.expected, str) or regex is not None:
                field = self._fields.setdefault(check.field, _Field(check.read))
                field.count += 1
                if isinstance(regex, str) and not (found := growth(regex)).steady:
                    field.growths[found] = field.growths.get(found, 0) + 1
                    self._steady = False

    def bound(self, length: int) -> float:
        """At most how long it takes for a body of this length."""
        return self._count * (_EACH + length / _CHARACTERS) if self._steady else inf

    def milliseconds(self, request: Request) -> float:
        """At most how long it takes, roughly."""
        total = self._count * _EACH
        for field in self._fields.values():
            texts = _texts(field.read(request))
            total += field.count * sum(map(len, texts)) / _CHARACTERS
            if field.growths:
                total += sum(_searching(field.growths, text) for text in texts)
        return total


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    return [each for each in value if isinstance(each, str)] if isinstance(value, tuple) else ()


def _searching(growths: dict[Growth, int], text: str) -> float:
    if len(growths) <= _FEW:
        return sum(count * each.milliseconds(text) for each, count in growths.items())
    worst = Growth(max(each.power for each in growths), max(each.ways for each in growths))
    return sum(growths.values()) * worst.milliseconds(text)
