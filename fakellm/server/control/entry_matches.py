"""Which entries of a journal match a `when`, and which comes nearest to it. The code that matches rules compares them.

Owns how much is parsed on the event loop.
"""

from __future__ import annotations

from functools import partial

from msgspec import Struct

from fakellm.base.json_text import writable
from fakellm.engine.entry import Entry, Kept
from fakellm.scenarios.matching import Difference, When, difference
from fakellm.server.control.shown_entry import Parse
from fakellm.server.offload import in_thread

_PARSED_AT_ONCE = 64 * 1024
"""Bytes of a body that the event loop parses itself; a thread parses a longer one."""


class Nearest(Struct, frozen=True):
    """The entry that does not match with the fewest differences, the latest of several, and those differences."""

    number: int
    method: str
    path: str
    differences: tuple[str, ...]


class Matches:
    """Which entries match a `when`. Each request is parsed once."""

    def __init__(self, when: When | None, parse: Parse) -> None:
        self._when = when
        self._parse = parse
        self._found: dict[int, tuple[Entry, bool]] = {}
        self.nearest: Nearest | None = None

    async def matches(self, entry: Entry) -> bool:
        if self._when is None or entry.api is None or self._when == When():
            return self._when is None or entry.api is not None
        known = self._found.get(entry.number)
        if known is None or known[0] is not entry:
            differs = partial(self._differs, entry)
            long = isinstance(entry.request, Kept) and len(entry.request.body) > _PARSED_AT_ONCE
            differences = (await in_thread(differs))() if long else differs()
            known = self._found[entry.number] = entry, differences == ()
            self._note(entry, differences)
        return known[1]

    def _differs(self, entry: Entry) -> tuple[Difference, ...] | None:
        """The differences of an entry's request; None if it is not valid."""
        request = self._parse(entry)
        return None if request is None or self._when is None else difference(self._when, request)

    def _note(self, entry: Entry, differences: tuple[Difference, ...] | None) -> None:
        if differences and (self.nearest is None or len(differences) <= len(self.nearest.differences)):
            texts = tuple(writable(str(each)) for each in differences)
            self.nearest = Nearest(entry.number, entry.method, entry.path, texts)
