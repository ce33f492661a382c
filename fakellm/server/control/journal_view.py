"""Shows a journal as JSON: all of it, or the entries that a query matches. Owns how much is searched and encoded before
other work gets its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from copy import copy
from functools import partial
from typing import Any

import msgspec

from fakellm.engine.entry import Entry
from fakellm.engine.journal import Journal
from fakellm.engine.response import Response, Work, respond
from fakellm.server.control.shown_entry import AT_ONCE, Parse, shown_entry, work_on
from fakellm.server.offload import in_thread
from fakellm.wire.plan import Frame, Plan

_AT_ONCE = 100
"""How many entries are encoded before other work gets its turn: this takes well under a millisecond."""

_BYTES_AT_ONCE = 2**20
"""How many bytes of them."""


def journal_view(journal: Journal, parse: Parse) -> Work:
    """The work of showing a journal as it is now, one entry per line."""
    shown = snapshots(journal)

    async def made() -> list[bytes]:
        return await view(journal, parse, shown)

    return Work(made, as_json)


def as_json(result: Callable[[], Any]) -> Response:
    """The response with the pieces of JSON that some work has made."""
    frames = tuple(map(Frame, result()))
    return respond(Plan(200, (("Content-Type", "application/json"),), frames))


Snapshots = list[tuple[Entry, Entry]]
"""Entries, each with a copy as it is now if it may still change, or else with itself."""


def snapshots(entries: Iterable[Entry]) -> Snapshots:
    """The entries as they are now."""
    return [(entry, copy(entry) if entry.under_way else entry) for entry in entries]


async def view(journal: Journal, parse: Parse, entries: Snapshots, more: bytes = b"") -> list[bytes]:
    """The JSON of entries, in pieces. `more`: further fields of the object."""
    facts = {
        "dropped": journal.dropped,
        "dropped_unmatched": journal.dropped_unmatched,
        "dropped_rules": sorted(journal.dropped_rules),
    }
    end = b"], " + more + msgspec.json.encode(facts)[1:] + b"\n"
    pieces = [b'{"entries": [']
    async for piece in _encoded(journal, parse, entries):
        pieces.append((b",\n" if pieces[1:] else b"\n") + piece)
    return [*pieces, end]


async def _encoded(journal: Journal, parse: Parse, entries: Snapshots) -> AsyncIterator[bytes]:
    count, size, searched = 0, 0, 0
    for entry, snapshot in entries:
        work = work_on(entry)
        show = partial(shown_entry, parse, entry, snapshot)
        piece = msgspec.json.encode(show() if work <= AT_ONCE else (await in_thread(show))())
        if work:
            journal.remeasure(entry)
        yield piece
        count, size, searched = count + 1, size + len(piece), searched + work
        if count >= _AT_ONCE or size >= _BYTES_AT_ONCE or searched >= AT_ONCE:
            count, size, searched = 0, 0, 0
            await asyncio.sleep(0)
