"""Finds the rules of a session that have answered no request, and why: what comes nearest, or which rule came first.

Knows no handler.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from fakellm.engine.journal import Journal
from fakellm.engine.response import Work
from fakellm.scenarios.matching import When
from fakellm.server.control.entry_matches import Matches, Nearest
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
        found = [await _explained(name, when, journal, parse) for name, when in unused[:_EXPLAINED]]
        found += [Unused(name) for name, _ in unused[_EXPLAINED:]]
        return [msgspec.json.encode({"unused": found}), b"\n"]

    return Work(run, as_json)


async def _explained(name: str, when: When | None, journal: Journal, parse: Parse) -> Unused:
    if when is None:
        return Unused(name)
    matches = Matches(when, parse)
    for entry in list(journal):
        if await matches.matches(entry):
            return Unused(name, entry.number, entry.rule)
    return Unused(name, nearest=matches.nearest)
