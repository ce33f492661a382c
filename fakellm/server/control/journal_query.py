"""Finds the entries of a journal that a query matches, and waits until there are enough of them. Owns the query.

A query has the vocabulary of a rule's `when`, and the same code matches it. Knows no handler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from fakellm.base.errors import RequestError
from fakellm.base.json_text import writable
from fakellm.base.validation import dotted, problems
from fakellm.engine.entry import Ending, Entry
from fakellm.engine.journal import Journal
from fakellm.engine.response import Work
from fakellm.model.request import Request
from fakellm.scenarios.matching import When
from fakellm.server.control.changes import Changes
from fakellm.server.control.entry_matches import Matches, Nearest, search
from fakellm.server.control.journal_view import as_json, snapshots, view
from fakellm.server.control.shown_entry import Parse


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries to find, and how long to wait for them.

    when: what their requests match; only requests to a model do. Null: any request.
    outcome: how their replies ended.
    matched: whether a rule matched their requests.
    count: the number of entries to wait for.
    wait: the most seconds to wait.
    """

    when: When | None = None
    outcome: Ending | None = None
    matched: bool | None = None
    count: Annotated[int, Meta(ge=1)] = 1
    wait: Annotated[float, Meta(ge=0, le=600)] = 0.0

    def matches(self, entry: Entry) -> bool:
        """Whether an entry matches what is not a condition on its request."""
        outcome = self.outcome is None or entry.outcome == self.outcome
        return outcome and (self.matched is None or entry.matched == self.matched)


def journal_query(journal: Callable[[], Journal], parse: Parse, body: bytes, changes: Changes) -> Work:
    """The work of a query: the entries that match when there are enough of them, or at the end of the wait; and the
    nearest that does not match. `journal`: returns the session's. Raises RequestError for a query that is not valid."""
    query = _read(body)
    searching = _Search(query, parse)

    async def run() -> list[bytes]:
        end = asyncio.get_running_loop().time() + query.wait
        while True:
            count, now = changes.count, journal()
            found = await searching.found(now)
            left = end - asyncio.get_running_loop().time()
            if len(found) >= query.count or left <= 0 or not await changes.after(count, left):
                break
        more = {"nearest": searching.nearest, "total": now.count}
        return await view(now, parse, snapshots(found), msgspec.json.encode(more)[1:-1] + b", ")

    return Work(run, as_json, waits=query.wait > 0)


class _Search:
    """Finds the entries of a journal that a query matches, again and again as it grows: of those that it has compared,
    only replies under way may still change. Keeps their numbers, for the journal may drop the entries."""

    def __init__(self, query: Query, parse: Parse) -> None:
        self._query = query
        self._parse = parse
        self._start(None)

    @property
    def nearest(self) -> Nearest | None:
        return self._matches.nearest

    def _start(self, journal: Journal | None) -> None:
        self._journal = journal
        self._matches = Matches(self._query.when)
        self._compared = 0
        """The number of the latest entry that was compared."""
        self._under_way: list[int] = []
        """The numbers of those that match the query's `when` and whose replies were under way."""
        self._ended: list[int] = []
        """The numbers of the others that match the query."""

    async def found(self, journal: Journal) -> list[Entry]:
        """The entries that match now, in order."""
        if journal is not self._journal:  # the session has been reset, or has loaded another scenario
            self._start(journal)
        entries = list(journal)
        first = entries[0].number if entries else 1
        under_way = [entries[number - first] for number in self._under_way if number >= first]
        new = entries[max(self._compared + 1 - first, 0) :]

        def compare(entry: Entry, request: Request | None) -> None:
            if self._matches.matches(entry, request):
                under_way.append(entry)

        await search(new, self._parse, compare, [self._matches])
        self._compared = entries[-1].number if entries else self._compared
        self._under_way = [entry.number for entry in under_way if entry.under_way]
        changed = [entry for entry in under_way if self._query.matches(entry)]
        ended = [number for number in self._ended if number >= first]
        found = sorted([*(entries[number - first] for number in ended), *changed], key=lambda entry: entry.number)
        self._ended = [entry.number for entry in found if not entry.under_way]
        return found


def _read(body: bytes) -> Query:
    try:
        value: Any = msgspec.json.decode(body or b"{}")
    except (ValueError, RecursionError):
        raise RequestError(400, "The query is not valid JSON.", "invalid_query") from None
    try:
        return msgspec.convert(value, Query)
    except msgspec.ValidationError as error:
        found = next(iter(problems(value, Query)), None)
        message = f"{dotted(found.path)}: {found.message}" if found else str(error)
        raise RequestError(400, writable(f"The query is not valid: {message}"), "invalid_query") from None
