"""Caches what functions of texts return. Owns which texts are too long to be kept, so that a number of entries bounds
the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST = 2_000
"""Characters of a text that is kept."""


def cached_if_short(entries: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator for a function of hashable values: its last results are kept, but none for a long text."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        kept = lru_cache(entries)(function)

        @wraps(function)
        def call(*values: P.args, **named: P.kwargs) -> T:
            for value in values:
                if value.__class__ is str and value[MOST:]:
                    return function(*values, **named)
            return kept(*values, **named)  # type: ignore[arg-type] # they are hashable

        return call

    return decorate
