"""What was asked, what answered it and what was sent. Owns the entries and how many are kept; writes no file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct


class Entry(Struct):
    """One request and its reply. The server fills in `frames_sent` and `outcome` while it sends."""

    method: str
    path: str
    request: Any
    """The JSON body; its text where it is no JSON; null where there is none."""
    rule: str | None
    """The rule or the recording that answered, `generated` or `upstream`; null where the request was refused."""
    matched: bool
    """False where the session has rules or recordings and none of them met the request."""
    explanation: str | None
    """Why a request was refused, or the nearest rule or recording and what differed."""
    status: int | None
    """Null where a fault let no status be sent."""
    frames: int
    frames_sent: int = 0
    outcome: Literal["sending", "sent", "closed", "reset", "stalled", "client left", "server stopped"] = "sending"
    """`closed`, `reset`: the connection, by a fault. `stalled`: by a fault, and the client has not left yet."""
    fault: str | None = None
    """The kind of the fault that this attempt met."""
    number: int = 0
    """Its place in the session's journal, from 1."""


class Journal:
    """The last entries of a session: at most so many, with at most so many bytes of requests."""

    def __init__(self, most_entries: int = 10_000, most_bytes: int = 64 * 2**20) -> None:
        self._entries: deque[tuple[Entry, int]] = deque()
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._bytes = 0
        self.count = 0

    def add(self, entry: Entry, request_bytes: int) -> None:
        """Keeps the entry; the oldest make way for it, but the newest always stays."""
        self.count += 1
        entry.number = self.count
        self._bytes += request_bytes
        self._entries.append((entry, request_bytes))
        while len(self._entries) > 1 and (len(self._entries) > self._most_entries or self._bytes > self._most_bytes):
            self._bytes -= self._entries.popleft()[1]

    def __iter__(self) -> Iterator[Entry]:
        return (entry for entry, _ in self._entries)

    @property
    def dropped(self) -> int:
        """How many entries have made way."""
        return self.count - len(self._entries)
