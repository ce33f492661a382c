"""Values of owners, such as sessions, of which only the most recent are kept. Owns which ones make way.

Those of an owner that has ended count no longer, so that they push out none of the others. Knows no quota.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values of owners that have not ended, at most `most`: the least recently set is dropped.

    A place starts with its owner. A server fills this up only slowly, so each value is as small as it can be: one tuple
    and the value. Those of owners that have ended are taken out when they are half of all.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[tuple[Any, ...], Value] = OrderedDict()
        self._sizes: Counter[Hashable] = Counter()
        """How many values each owner has."""
        self._ended: dict[Hashable, None] = {}
        """The owners that have ended and still have values."""
        self._idle = 0
        """How many values these have."""

    def __len__(self) -> int:
        return len(self._values) - self._idle

    def get(self, place: tuple[Hashable, ...]) -> Value | None:
        """The value in this place, or None."""
        return self._values.get(place)

    def set(self, place: tuple[Hashable, ...], value: Value) -> Hashable:
        """Sets a value; returns the owner of the one that is dropped for it, or None."""
        if place not in self._values:
            self._count(place[0], 1)
        self._values[place] = value
        self._values.move_to_end(place)
        owner = None
        while len(self) > self._most:
            owner = self._values.popitem(last=False)[0][0]
            self._count(owner, -1)
        return owner

    def end(self, owner: Hashable) -> None:
        """An owner has ended."""
        if owner in self._sizes and owner not in self._ended:
            self._ended[owner] = None
            self._idle += self._sizes[owner]
            if self._idle * 2 > len(self._values):
                self._clear()

    def _count(self, owner: Hashable, more: int) -> None:
        self._sizes[owner] += more
        if owner in self._ended:
            self._idle += more
        if not self._sizes[owner]:
            del self._sizes[owner]
            self._ended.pop(owner, None)

    def _clear(self) -> None:
        """Takes out the values of owners that have ended."""
        self._values = OrderedDict(
            (place, value) for place, value in self._values.items() if place[0] not in self._ended
        )
        for owner in self._ended:
            del self._sizes[owner]
        self._ended, self._idle = {}, 0
