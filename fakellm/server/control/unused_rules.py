"""Finds the rules of a session that have answered no request, and why: what comes nearest, or which rule came first;
and those whose faults broke nothing.

Knows no handler.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from fakellm.engine.entry import Entry
from fakellm.engine.journal import Journal
from fakellm.engine.response import Work
from fakellm.model.request import Request
from fakellm.scenarios.matching import When
from fakellm.server.control.entry_matches import Matches, Nearest, search
from fakellm.server.control.journal_view import as_json
from fakellm.server.control.shown_entry import Parse

_EXPLAINED = 20
"""For how many rules the requests are searched."""


class Unused(Struct, frozen=True):
    """A rule or a recording that has answered no request.

    request, answered_by: the first request that matches it, and the rule that answered that one. nearest: the request
    that comes nearest, if none matches.
    """

    rule: str
    request: int | None = None
    answered_by: str | None = None
    nearest: Nearest | None = None


def unused_rules(rules: Sequence[tuple[str, When | None]], journal: Journal, parse: Parse) -> Work:
    """The work of finding them. `rules`: their names, with what a request must match; None for a recording."""

    async def run() -> list[bytes]:
        used = journal.dropped_rules | {entry.rule for entry in journal}
        unused = [(name, when) for name, when in rules if name not in used]
        explained = [_Explained(name, when) for name, when in unused[:_EXPLAINED]]

        def compare(entry: Entry, request: Request | None) -> None:
            for each in explained:
                each.compare(entry, request)

        if any(when for _, when in unused[:_EXPLAINED]):
            comparing = [each.matches for each in explained if each.matches]
            await search(list(journal), parse, compare, comparing)
        found = [each.found() for each in explained] + [Unused(name) for name, _ in unused[_EXPLAINED:]]
        return [msgspec.json.encode({"unused": found, "faults": idle_faults(journal)}), b"\n"]

    return Work(run, as_json)


class _Explained:
    """Finds the first request that matches a rule, or the nearest."""

    def __init__(self, name: str, when: When | None) -> None:
        self._name = name
        self.matches = Matches(when) if when else None
        self._first: Entry | None = None

    def compare(self, entry: Entry, request: Request | None) -> None:
        if self.matches and not self._first and self.matches.matches(entry, request):
            self._first = entry

    def found(self) -> Unused:
        if self._first:
            return Unused(self._name, self._first.number, self._first.rule)
        return Unused(self._name, nearest=self.matches.nearest if self.matches else None)


class IdleFault(Struct, frozen=True):
    """A rule whose fault broke nothing; `request`: the number of the first request that should have had it."""

    rule: str
    request: int
    reason: str


def idle_faults(entries: Iterable[Entry]) -> list[IdleFault]:
    """A rule is left out if a fault of it has broken a reply."""
    idle: dict[str, IdleFault] = {}
    effective: set[str] = set()
    for entry in entries:
        if entry.rule is None:
            continue
        if any(key.startswith("fault") for key in entry.without_effect):
            idle.setdefault(entry.rule, IdleFault(entry.rule, entry.number, entry.explanation or ""))
        elif entry.fault:
            effective.add(entry.rule)
    return [each for rule, each in idle.items() if rule not in effective]
