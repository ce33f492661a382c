"""Which entries of a journal match a `when`, and which comes nearest to it. The code that matches rules compares them.

Owns how much is parsed on the event loop before other work gets its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from msgspec import Struct

from fakellm.base.json_text import writable
from fakellm.engine.entry import Entry, Kept
from fakellm.model.request import Request
from fakellm.scenarios.matching import When, difference
from fakellm.server.control.shown_entry import Parse
from fakellm.server.offload import in_thread

_BYTES_AT_ONCE = 64 * 1024
"""Bytes of bodies that the event loop parses before other work gets its turn; a thread parses a longer one."""

_AT_ONCE = 20
"""How many requests are parsed and compared before other work gets its turn: some milliseconds if each is compared with
20 rules."""


class Nearest(Struct, frozen=True):
    """The entry that does not match with the fewest differences, the latest of several, and those differences."""

    number: int
    method: str
    path: str
    differences: tuple[str, ...]


async def search(entries: Iterable[Entry], parse: Parse, compare: Callable[[Entry, Request | None], object]) -> None:
    """Calls `compare` with each entry and its request: None if that is not for a model, or not valid. A thread parses
    and compares a long one."""

    def compared(entry: Entry) -> None:
        compare(entry, parse(entry))

    count, size = 0, 0
    for entry in entries:
        length = len(entry.request.body) if isinstance(entry.request, Kept) else 0
        if length > _BYTES_AT_ONCE:
            (await in_thread(partial(compared, entry)))()
            continue
        compared(entry)
        count, size = count + 1, size + length
        if count >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            count, size = 0, 0
            await asyncio.sleep(0)


class Matches:
    """Compares entries with a `when`. Owns which of them comes nearest."""

    def __init__(self, when: When | None) -> None:
        self._when = when
        self.nearest: Nearest | None = None

    def matches(self, entry: Entry, request: Request | None) -> bool:
        """Whether an entry matches. `request`: as `search` has it."""
        if self._when is None or entry.api is None or self._when == When():
            return self._when is None or entry.api is not None
        differences = None if request is None else difference(self._when, request)
        if differences and (self.nearest is None or len(differences) <= len(self.nearest.differences)):
            texts = tuple(writable(str(each)) for each in differences)
            self.nearest = Nearest(entry.number, entry.method, entry.path, texts)
        return differences == ()
