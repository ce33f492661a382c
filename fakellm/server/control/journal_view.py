"""Shows a journal as JSON: all of it, or the entries that a query matches. Owns how much is searched and encoded before
other work gets its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from copy import copy
from functools import partial
from typing import Any

import msgspec

from fakellm.engine.entry import Entry
from fakellm.engine.journal import Journal
from fakellm.engine.response import Response, Work, respond
from fakellm.server.control.shown_entry import AT_ONCE, Parse, read_elsewhere, shown_entry, work_on
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
    async for encoded in _encoded(journal, parse, entries):
        pieces += b",\n" if pieces[1:] else b"\n", *encoded
    return [*pieces, end]


async def _encoded(journal: Journal, parse: Parse, entries: Snapshots) -> AsyncIterator[list[bytes]]:
    count, size, searched = 0, 0, 0
    for entry, snapshot in entries:
        work = work_on(entry)
        show = partial(_shown, parse, entry, snapshot, await read_elsewhere(entry, snapshot))
        encoded = show() if work <= AT_ONCE else (await in_thread(show))()
        if work:
            journal.remeasure(entry)
        yield encoded
        count, size, searched = count + 1, size + sum(map(len, encoded)), searched + work
        if count >= _AT_ONCE or size >= _BYTES_AT_ONCE or searched >= AT_ONCE:
            count, size, searched = 0, 0, 0
            await asyncio.sleep(0)


def _shown(parse: Parse, entry: Entry, snapshot: Entry, sent: bytes | None) -> list[bytes]:
    """The JSON of an entry, in pieces: a body of 64 MB has room for itself twice, but not for copies of both."""
    kept, shown = entry.request, shown_entry(parse, entry, snapshot, sent)
    body = shown.body
    if body is None or len(body) <= AT_ONCE:
        return [msgspec.json.encode(shown)]
    shown.request = shown.body = None
    before, _, rest = msgspec.json.encode(shown).partition(b'"request":null')  # only other texts come before it
    between, _, after = rest.partition(b'"body":null')
    text, is_json = kept.shown
    return [before + b'"request":', text, between + b'"body":', *(_text(body) if is_json else [text]), after]


def _text(text: str) -> Iterator[bytes]:
    """The JSON of a text, in pieces."""
    yield b'"'
    for start in range(0, len(text), _BYTES_AT_ONCE):
        yield msgspec.json.encode(text[start : start + _BYTES_AT_ONCE])[1:-1]
    yield b'"'
