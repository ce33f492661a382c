"""What there is on a server, as the events that a reader begins with. Owns how much is encoded at once.

All who begin between two changes share one encoding of it, which is made in pieces, as the first of them needs the
next; and one piece at a time, whoever needs it, so that other work gets its turn however many begin. Knows no reader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from heapq import merge
from itertools import islice
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec

from fakellm.engine.entry import Entry
from fakellm.model.request import Request
from fakellm.server.application import Application
from fakellm.server.control.entry_matches import search
from fakellm.server.control.shown_entry import Parse
from fakellm.server.live.ring import written
from fakellm.server.live.summary import Facts, facts_of, summary

T = TypeVar("T")

MOST_SHOWN = 2_000
"""Entries that are sent to a reader who begins, the newest of all sessions: it has missed the others."""

_AT_ONCE = 100
"""Entries and sessions of one piece."""


class Present:
    """What there was after the event with this number, in pieces. `shown`: how many entries."""

    def __init__(
        self, number: int, shown: int, pieces: deque[Callable[[], Awaitable[bytes]]], turn: asyncio.Lock
    ) -> None:
        self.number = number
        self.shown = shown
        self._made: list[bytes] = []
        self._unmade = pieces
        self._turn = turn

    async def piece(self, place: int) -> bytes | None:
        """The piece in this place, from 0; None if there is none. To ask for it again is cheap."""
        if place == len(self._made):
            async with self._turn:
                if place == len(self._made) and self._unmade:
                    self._made.append(await self._unmade[0]())
                    self._unmade.popleft()  # only now: the reader for which it is made may leave meanwhile
        return self._made[place] if place < len(self._made) else None


class Presents:
    """What there is on the server of `app`, for readers of its events."""

    def __init__(self, app: Application, parse: Parse) -> None:
        self._app = app
        self._parse = parse
        self._turn = asyncio.Lock()
        self._read: WeakValueDictionary[tuple[int, str | None], Present] = WeakValueDictionary()
        """Those that somebody reads."""

    def after(self, number: int, session: str | None) -> Present:
        """What there is now, after the event with this number, of one session or of all."""
        found = self._read.get((number, session))
        if found is None:
            names = [name for name in self._app.sessions() if session in (None, name)]
            entries = self._newest(names)
            pieces: deque[Callable[[], Awaitable[bytes]]] = deque()
            pieces += (partial(self._of_sessions, each) for each in _pieces(names))
            pieces += (partial(self._of_entries, each) for each in _pieces(entries))
            found = self._read[number, session] = Present(number, len(entries), pieces, self._turn)
        return found

    def scenario(self, name: str) -> bytes:
        """The data of the event that a session serves a scenario."""
        return msgspec.json.encode({"session": name, **self._app.served(name)})

    def _newest(self, names: Sequence[str]) -> list[tuple[str, Entry]]:
        """The newest entries of these sessions, the oldest of them first."""
        sessions = self._app.sessions()
        newest_first = (
            [(name, entry) for entry in reversed(list(sessions[name].journal)[-MOST_SHOWN:])] for name in names
        )
        found = merge(*newest_first, key=lambda each: -(each[1].started or 0.0))
        return list(islice(found, MOST_SHOWN))[::-1]

    async def _of_sessions(self, names: Sequence[str]) -> bytes:
        """The events of these sessions."""
        await asyncio.sleep(0)
        return b"".join(
            written("session", session_data(name, "new")) + written("scenario", self.scenario(name)) for name in names
        )

    async def _of_entries(self, entries: Sequence[tuple[str, Entry]]) -> bytes:
        """The events of these entries."""
        facts: dict[int, Facts] = {}

        def read(entry: Entry, request: Request | None) -> None:
            facts[id(entry)] = facts_of(request, entry)

        await search([entry for _, entry in entries], self._parse, read)
        return b"".join(written("entry", entry_data(name, entry, facts[id(entry)])) for name, entry in entries)


def session_data(name: str, state: str) -> bytes:
    """The data of the event that a session is new or gone."""
    return msgspec.json.encode({"session": name, "state": state})


def entry_data(name: str, entry: Entry, facts: Facts) -> bytes:
    """The data of the event that an entry of a session is new or has changed."""
    return msgspec.json.encode(summary(name, entry, facts))


def _pieces(values: Sequence[T]) -> Sequence[Sequence[T]]:
    return [values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE)]
