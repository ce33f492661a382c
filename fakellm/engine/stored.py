"""What the APIs of a server keep of their replies, by session. Owns the bound on all of it together.

An API decides what it keeps: a value that knows its own size. Knows no API.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Self

from fakellm.apis.operation import Keeper
from fakellm.model.request import Request


class SessionStore:
    """What one session keeps, as one value that is replaced as a whole."""

    def __init__(self, shelf: StoreShelf) -> None:
        self._shelf = shelf
        self._kept: Any = None

    def open(self, keeper: Keeper) -> Self:
        """The store, for an API that may not have kept anything here before."""
        if self._kept is None:
            self._kept = keeper.empty(self._shelf.most_bytes)
        return self

    def add_reply(self, keeper: Keeper, request: Request, sent: bytes) -> Any:
        """Keeps the reply to a request, whose body is `sent`; returns all that is kept now."""
        while True:
            before = self.open(keeper).read()
            after = keeper.with_reply(before, request, sent)
            if after is before or self.write(before, after):
                return after

    def read(self) -> Any:
        """What is kept now."""
        return self._kept

    def write(self, before: Any, after: Any) -> bool:
        """Keeps `after` if `before` is still what is kept; if not, the caller has to start again from what is."""
        if self._kept is not before:
            return False
        self._kept = after
        self._shelf.written(self)
        return True

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        return 0 if self._kept is None else int(self._kept.size)

    def clear(self) -> None:
        """Forgets everything."""
        self._kept = None
        self._shelf.cleared(self)


class StoreDraft:
    """What a store may become, while a thread works on it: `before` and `after`."""

    def __init__(self, kept: Any) -> None:
        self.before = self.after = kept

    def read(self) -> Any:
        """What would be kept now."""
        return self.after

    def write(self, before: Any, after: Any) -> bool:
        """Keeps `after`: nobody else changes a draft."""
        self.after = after
        return True


class StoreShelf:
    """The stores of all sessions, of at most `most_bytes` together: those written to longest ago are cleared first."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._sizes: OrderedDict[SessionStore, int] = OrderedDict()
        self.size = 0

    def written(self, store: SessionStore) -> None:
        """Counts a store again that has changed, and makes room for it."""
        self.size += store.size - self._sizes.pop(store, 0)
        self._sizes[store] = store.size
        while self.size > self.most_bytes and len(self._sizes) > 1:
            next(iter(self._sizes)).clear()

    def cleared(self, store: SessionStore) -> None:
        """Counts a store no longer."""
        self.size -= self._sizes.pop(store, 0)
