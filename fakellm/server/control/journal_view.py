"""Shows a journal as JSON, without secrets. Owns how much is searched and encoded before other work gets its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import msgspec

from fakellm.engine.journal import Entry, Journal, Kept
from fakellm.engine.response import Response, Work, respond
from fakellm.server.offload import in_thread
from fakellm.wire.plan import Frame, Plan

_AT_ONCE = 200
"""How many entries are encoded before other work gets its turn: this takes well under a millisecond."""

_BYTES_AT_ONCE = 2**20
"""How many bytes of them."""

_SEARCHED_AT_ONCE = 64 * 1024
"""How many bytes of bodies are searched for secrets, which takes some milliseconds. A longer body is searched in a
thread."""


def journal_view(journal: Journal) -> Work:
    """The work of showing a journal as it is now, one entry per line."""
    entries = [(entry, copy(entry) if entry.under_way else entry) for entry in journal]
    dropped = (journal.dropped, journal.dropped_unmatched)

    async def encoded() -> list[bytes]:
        pieces, count, size, searched = [b'{"entries": ['], 0, 0, 0
        for number, (entry, shown) in enumerate(entries):
            if isinstance(shown.request, Kept):
                searched += len(shown.request.json)
                await _search(entry, shown, shown.request)
            pieces.append((b",\n" if number else b"\n") + msgspec.json.encode(shown))
            count, size = count + 1, size + len(pieces[-1])
            if count >= _AT_ONCE or size >= _BYTES_AT_ONCE or searched >= _SEARCHED_AT_ONCE:
                count, size, searched = 0, 0, 0
                await asyncio.sleep(0)
        return [*pieces, b'], "dropped": %d, "dropped_unmatched": %d}\n' % dropped]

    def then(result: Callable[[], Any]) -> Response:
        frames = tuple(map(Frame, result()))
        return respond(Plan(200, (("Content-Type", "application/json"),), frames))

    return Work(encoded, then)


async def _search(entry: Entry, shown: Entry, kept: Kept) -> None:
    """Overwrites the secrets of an entry's body, once for all views. `shown`: the entry, or its copy for this view."""
    from fakellm.recordings.redaction import redacted_json  # most servers never need it

    search = partial(redacted_json, kept.json, kept.secrets)
    text = search() if len(kept.json) <= _SEARCHED_AT_ONCE else (await in_thread(search))()
    shown.request = msgspec.Raw(text)
    if entry.request is kept:  # it was not dropped in the meantime
        entry.request = shown.request
