"""What the replies of a rule share, whatever the request: computed for the first request and kept in the cache.

Only a memory of pure functions: with or without it, a reply has the same bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from sys import getsizeof
from typing import Any, TypeVar

T = TypeVar("T")


class Cache:
    """Values computed for earlier requests, at most this many bytes; the least recently used are dropped."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()  # the least recently used first
        self.size = 0
        """How many bytes its values take, as their sizes were stated."""

    def find(self, key: Hashable) -> Any:
        """The value under this key, or None."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def keep(self, key: Hashable, value: Any, size: int) -> None:
        """Keeps a value of this size, unless it is larger than the whole cache."""
        if size > self.most_bytes:
            return
        before = self._kept.pop(key, None)
        self.size += size - (before[1] if before else 0)
        while self.size > self.most_bytes:
            self.size -= self._kept.popitem(last=False)[1][1]
        self._kept[key] = (value, size)


class Memo:
    """Values computed for earlier requests, kept under a key and a name. Without a key, nothing is kept.

    fixed: whether the reply of the rule is the same for every request.
    """

    def __init__(self, cache: Cache | None = None, key: Hashable = None, fixed: bool = False) -> None:
        self._cache = cache or _NOTHING
        self._key = key
        self.fixed = fixed and key is not None

    def keeps(self, size: int) -> bool:
        """Whether a value of this size can be kept."""
        return self._key is not None and size <= self._cache.most_bytes // _SHARE

    def of(self, *key: Hashable) -> Memo:
        """The memo for requests that have this key too; if a part of it is None, one that keeps nothing."""
        if self._key is None or None in key:
            return FORGETFUL
        return Memo(self._cache, (self._key, key), self.fixed)

    def varying(self) -> Memo:
        """The memo for a reply that differs from request to request."""
        return Memo(self._cache, self._key)

    def get(self, name: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value of this name, made if need be; `size` says roughly how many bytes of memory it takes."""
        if self._key is None:
            return make()
        key = (self._key, name)
        kept: T | None = self._cache.find(key)
        if kept is None:
            kept = make()
            self._cache.keep(key, kept, size(kept) + getsizeof(repr(name)))  # a name may have that of a model
        return kept


_SHARE = 100
"""No value may displace more than this part of all others."""

_NOTHING = Cache(0)
FORGETFUL = Memo()
