"""The journal: what was requested, what answered, what was sent. Owns the entries and their number; writes no file.

Request bodies are kept as the JSON text that was sent: parsed, they can take twenty times the memory.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from fakellm.engine.response import Outcome, Response

_ENTRY_BYTES = 1024
"""Bytes that an entry counts for besides its texts: roughly the size of Python's objects."""

MOST_ENTRIES = 10_000
"""Entries of one journal."""

MOST_LEVELS = 500
"""The deepest JSON that the journal keeps as JSON. The program that reads it is deep in its own calls, and before 3.12
Python's JSON module counts these too: a limit of about a thousand."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


class Entry(Struct, gc=False):
    """One request and its reply. The server fills in `frames_sent` and `outcome` while it sends."""

    method: str
    path: str
    request: Any = None
    """The JSON body; its text if it is not valid JSON, or nested deeper than MOST_LEVELS; null if there is none. Inside
    the server, it is a `Kept`, and after its secrets are overwritten a `msgspec.Raw`."""
    rule: str | None = None
    """The rule or the recording that answered, `generated` or `upstream`; null if the request was refused."""
    matched: bool = True
    """False if no rule and no recording of the session matched the request, or if its URL or method is unknown.
    """
    explanation: str | None = None
    """Why a request was refused, or the nearest rule or recording and what differed."""
    status: int | None = None
    """Null until there is a reply, and if a fault prevented the status from being sent."""
    frames: int = 0
    frames_sent: int = 0
    outcome: Literal["sending", "sent", "closed", "reset", "stalled", "client left", "server stopped"] = "sending"
    """`closed`, `reset`: a fault ended the connection. `stalled`: a fault stalls it, and the client is still there."""
    fault: str | None = None
    """The kind of the fault that was injected into this attempt."""
    attempts_forgotten: bool = False
    """True if this may be a later attempt than was counted: when the first one was counted, counts of this session had
    been dropped to stay within `--max-attempts` or `--max-sessions`."""
    without_effect: tuple[str, ...] = ()
    """The keys of the rule's `stream:` block that have no effect in the API of the request."""
    late_ms: float = 0.0
    """How many milliseconds after its due time the latest frame left because the server was too busy, if that was more
    than 50; else 0."""
    number: int = 0
    """The number of the entry in the session's journal, from 1."""

    @property
    def under_way(self) -> bool:
        """Whether the entry may still change."""
        return self.outcome in ("sending", "stalled")

    def fill(self, outcome: Outcome) -> None:
        """Records what answers the request."""
        if isinstance(outcome, Response):
            self.rule, self.matched, self.explanation = outcome.rule, outcome.matched, outcome.explanation
            self.status, self.frames, self.fault = outcome.head.status, outcome.frames, outcome.fault
            self.attempts_forgotten = outcome.attempts_forgotten
            self.without_effect = outcome.without_effect


class Kept(Struct, frozen=True):
    """The body of a request, encoded as JSON. It may have secrets, which are overwritten when the journal is read: to
    search each body as it arrives would take longer than to answer.

    secrets: those of the request's headers and URL, if it goes to a real server. Others are found by name or form.
    """

    json: bytes
    secrets: frozenset[str] = frozenset()


def kept_body(body: bytes, valid: bool = False) -> bytes:
    """A request body for the journal, encoded: JSON as it was sent, any other text as a string, nothing as null. JSON
    of more than MOST_LEVELS becomes a string too: what reads the journal may not be able to read it.

    `valid`: the body is known to be JSON.
    """
    if not valid or not body:
        try:
            json.loads(body.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return as_text(body)
    return as_text(body) if _is_deep(body) else body


def as_text(body: bytes) -> bytes:
    """A body as a JSON string, or as null if it is empty."""
    return msgspec.json.encode(body.decode("utf-8", "backslashreplace") or None)


def _is_deep(body: bytes) -> bool:
    """Whether valid JSON has more than MOST_LEVELS. Nearly all has fewer brackets than that."""
    if body.count(b"[") + body.count(b"{") <= MOST_LEVELS:
        return False
    brackets = _STRING.sub(b"", body).translate(_BRACKETS, _OTHERS)
    for _ in range(MOST_LEVELS):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    return bool(brackets)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")


def _size(entry: Entry) -> int:
    """How many bytes an entry takes, roughly."""
    size = _ENTRY_BYTES + len(entry.method[16:]) + len(entry.path)  # usual methods are short, and shared
    size += len((entry.explanation or "").encode("utf-8", "replace"))
    body = entry.request.json if isinstance(entry.request, Kept) else entry.request
    return size + (len(memoryview(body)) if body else 0)


class Journal:
    """The last entries of one session, in the order in which their requests arrived."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._entries: deque[Entry] = deque()
        self._sizes: deque[int] = deque()
        self.count = 0
        """How many entries have been added."""
        self.dropped_unmatched = 0
        """How many entries without a match have been dropped."""
        self.gone = 0
        """How many dropped entries the shelf still has in its order; only the shelf changes it."""

    def add(self, entry: Entry) -> None:
        """Adds the entry with its number; if there is no room, the oldest entries are dropped."""
        self.count += 1
        entry.number = self.count
        size = _size(entry)
        self._entries.append(entry)
        self._sizes.append(size)
        self._shelf.added(self, size)

    def remeasure(self, entry: Entry) -> None:
        """Must be called after the request or the explanation of an entry has changed."""
        place = entry.number - self.dropped - 1
        if 0 <= place < len(self._entries) and self._entries[place] is entry:
            before, self._sizes[place] = self._sizes[place], _size(entry)
            self._shelf.resized(self._sizes[place] - before)

    def close(self) -> None:
        """Drops all entries; the journal must not be used again."""
        while self._entries:
            self.drop()

    def drop(self) -> None:
        """Drops the oldest entry. If its reply is under way, the server still has the entry, but not the request."""
        entry = self._entries.popleft()
        if entry.under_way:
            entry.request = None
        self.dropped_unmatched += not entry.matched
        self._shelf.dropped(self, self._sizes.popleft())

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def dropped(self) -> int:
        """How many entries have been dropped."""
        return self.count - len(self._entries)


class Shelf:
    """All journals of a server, with at most `most_bytes` in total and `most_entries` in each; the oldest are dropped.

    The newest entry always stays, however large it is.
    """

    def __init__(self, most_bytes: int, most_entries: int = MOST_ENTRIES) -> None:
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        self._bytes = 0
        self._order: deque[Journal] = deque()
        """The journal of each entry, in the order in which the entries were added. Those of entries that have been
        dropped stay, up to half of all; since a journal drops its oldest entries, they are its first `gone`."""
        self._gone = 0

    def added(self, journal: Journal, size: int) -> None:
        """Records a new entry, and makes room for it."""
        self._order.append(journal)
        if len(journal) > self._most_entries:
            journal.drop()
        self.resized(size)

    def resized(self, more: int) -> None:
        """Records that the entries take so many bytes more, and makes room for them."""
        self._bytes += more
        while self._bytes > self._most_bytes and len(self._order) - self._gone > 1:
            self._oldest().drop()

    def dropped(self, journal: Journal, size: int) -> None:
        """Records that a journal has dropped its oldest entry."""
        self._bytes -= size
        journal.gone += 1
        self._gone += 1
        if self._gone * 2 > len(self._order):
            self._order = deque(each for each in self._order if not self._forget(each))

    def _oldest(self) -> Journal:
        """The journal of the oldest entry."""
        while self._forget(self._order[0]):
            self._order.popleft()
        return self._order[0]

    def _forget(self, journal: Journal) -> bool:
        """Whether the first entry of a journal in the order has been dropped; if so, it must be taken out."""
        if not journal.gone:
            return False
        journal.gone -= 1
        self._gone -= 1
        return True
