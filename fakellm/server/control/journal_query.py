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
from fakellm.scenarios.matching import When
from fakellm.server.control.changes import Changes
from fakellm.server.control.entry_matches import Matches
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
    matched = Matches(query.when, parse)

    async def run() -> list[bytes]:
        end = asyncio.get_running_loop().time() + query.wait
        while True:
            count, now = changes.count, journal()
            entries = [entry for entry in list(now) if await matched.matches(entry)]
            found = [entry for entry in entries if query.matches(entry)]
            left = end - asyncio.get_running_loop().time()
            if len(found) >= query.count or left <= 0 or not await changes.after(count, left):
                break
        more = {"nearest": matched.nearest, "total": now.count}
        return await view(now, parse, snapshots(found), msgspec.json.encode(more)[1:-1] + b", ")

    return Work(run, as_json)


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
