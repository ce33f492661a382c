"""A sequence whose items are made when they are looked at, in order, and are not kept. Knows nothing about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, overload

T = TypeVar("T")


class OnDemand(Sequence[T]):
    """The items that each call of `make` makes anew. `count`: how many there are, if that is known before.

    size: roughly how many bytes of memory is held by what makes them.
    """

    def __init__(self, make: Callable[[], Iterator[T]], size: int, count: int | None = None) -> None:
        self._make = make
        self.size = size
        self._count = count

    def __iter__(self) -> Iterator[T]:
        return self._make()

    def __len__(self) -> int:
        return sum(1 for _ in self) if self._count is None else self._count

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, int) and place >= 0:
            for item in islice(self, place, None):
                return item
        return tuple(self)[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, OnDemand)) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __reduce__(self) -> Any:
        return tuple, (tuple(self),)
