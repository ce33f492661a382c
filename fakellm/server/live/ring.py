"""The last events of a server, up to a bound in bytes, for readers that come back. Owns their numbers.

Knows nothing about what the events are.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from msgspec import Struct

MOST_BYTES = 4 * 2**20
"""Bytes of the events that are kept."""

_EVENT_BYTES = 200
"""Bytes that an event counts for besides its text: roughly the size of Python's objects."""


class KeptEvent(Struct, frozen=True):
    """One event: its number, the session that it is about, and its bytes."""

    number: int
    session: str
    data: bytes


class Ring:
    """The last events, of at most `most_bytes`; the newest always stays. `epoch`: distinguishes their ids from those of
    another server."""

    def __init__(self, epoch: str, most_bytes: int = MOST_BYTES) -> None:
        self._epoch = epoch
        self._most = most_bytes
        self._events: deque[KeptEvent] = deque()
        self._size = 0
        self.last = 0
        """The number of the newest event."""

    def id_of(self, number: int) -> str:
        """The id of the event with this number."""
        return f"{self._epoch}-{number}"

    def number_of(self, name: str) -> int | None:
        """The number of the event with this id; None if no event of this server has it."""
        epoch, _, number = name.rpartition("-")
        known = epoch == self._epoch and number.isascii() and number.isdigit() and len(number) < 20
        return int(number) if known and int(number) <= self.last else None

    def add(self, kind: str, session: str, data: bytes) -> None:
        """Adds an event of this kind. `data`: JSON without line ends."""
        self.last += 1
        event = KeptEvent(self.last, session, written(kind, data, self.id_of(self.last)))
        self._events.append(event)
        self._size += len(event.data) + _EVENT_BYTES
        while self._size > self._most and len(self._events) > 1:
            self._size -= len(self._events.popleft().data) + _EVENT_BYTES

    def after(self, number: int, most: int) -> list[KeptEvent] | None:
        """The events after the one with this number, at most so many; None if the first of them is no longer kept."""
        start = number + 1 - (self.last + 1 - len(self._events))
        return None if start < 0 else list(islice(self._events, start, start + most))

    def lose(self) -> None:
        """Forgets all events: after this, nothing can be resumed that came before."""
        self._events.clear()
        self._size = 0
        self.last += 1


def written(kind: str, data: bytes, name: str = "") -> bytes:
    """The bytes of a server-sent event with JSON; `name`: its id."""
    head = f"event: {kind}\nid: {name}\ndata: " if name else f"event: {kind}\ndata: "
    return head.encode() + data + b"\n\n"
