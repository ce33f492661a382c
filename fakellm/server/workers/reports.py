"""What a worker reports to the owner of the state about its requests, for the journals. Owns when that is sent:
right after a reply, or after those of a few milliseconds. What has left the worker is not lost when it is killed.
Replies are sent when a journal is read, and a few in every second. A server that shares its journals does the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import copy
from itertools import count, islice
from math import inf
from typing import Any, Protocol

from msgspec import Struct
from multidict import CIMultiDict

from fakellm.engine.entry import Entry, Kept
from fakellm.server.control.changes import Changes
from fakellm.server.workers.unread import Unread

MOST_SENT = 256 * 1024
"""Bytes of replies that a worker sends to the owner although nobody reads a journal."""
SENT_SECONDS = 1.0
"""How often it does so: what it has not sent is lost if it is killed."""


_BATCH_SECONDS = 0.002
"""The least time between two batches: one of several entries costs less than they would one by one."""


class SessionName(Struct, frozen=True):
    """A session of the owner. `serial`: another one if it has been replaced."""

    name: str
    serial: int | str


class Recipient(Protocol):
    """What gets the reports."""

    def notify(self, name: str, *content: Any) -> None:
        """Gets `reports`, a list of EntryReport, or `replies`, a list of numbers with replies."""


class EntryReport(Struct):
    """What a worker reports of an entry.

    number: the worker's own number of it. session: None for an entry that the owner has made itself. entry: as it is
    now, without its request. kept: its request, the first time. answered: whether there is a reply now, which can be
    fetched.
    """

    number: int
    session: SessionName | None
    entry: Entry
    kept: Kept | None
    answered: bool


class _Reported:
    """An entry whose reply has not ended, or has not been reported."""

    def __init__(self, session: SessionName | None, entry: Entry) -> None:
        self.session = session
        self.entry = entry
        self.sent = session is None
        self.frames_sent = -1


class Reports:
    """The entries of one worker that the owner does not know as they are now. `batch_seconds`: the least time between
    two batches."""

    def __init__(self, channel: Recipient, journal_bytes: int, batch_seconds: float = _BATCH_SECONDS) -> None:
        self._channel = channel
        self._batch_seconds = batch_seconds
        self._numbers = count(1)
        self._entries: dict[int, _Reported] = {}
        self._changed: dict[int, None] = {}
        """The numbers of those that have changed, in order."""
        self._unread = Unread(journal_bytes)
        self._sending = False
        self._next = 0.0
        """When the next batch may leave, on the clock of the event loop."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, session: SessionName | None, entry: Entry) -> None:
        """Gives an entry its number, by which it is reported from now on. `session`: None if the owner has the
        entry."""
        entry.number = next(self._numbers)
        self._entries[entry.number] = _Reported(session, entry)
        self.changed(entry)

    def changed(self, entry: Entry) -> None:
        """Records that an entry has changed, to be reported. Entries of control routes have no number: they are not."""
        if entry.number in self._entries:
            self._changed[entry.number] = None
            if not self._sending:
                self._sending = True
                loop = asyncio.get_running_loop()
                loop.call_at(self._next, self._send) if self._next > loop.time() else loop.call_soon(self._send)

    def send(self, progress: int, replies: bool, anew: bool = False) -> None:
        """Reports everything that has changed. `progress`: also how far so many of the replies under way are, those
        first that were reported longest ago; `anew`: even if nothing has changed. `replies`: also replies."""
        for number in list(islice(self._entries, progress)):
            reported = self._entries[number] = self._entries.pop(number)
            if anew or reported.frames_sent != reported.entry.frames_sent:
                self._changed[number] = None
        self._send()
        if replies:
            self._send_replies(inf)

    def _send_some(self) -> None:
        self._timer = None
        self._send_replies(MOST_SENT)

    def _send_replies(self, most_bytes: float) -> None:
        if found := self._unread.take(most_bytes):
            self._channel.notify("replies", found)

    def _send(self) -> None:
        self._sending = False
        if self._changed:
            self._next = asyncio.get_running_loop().time() + self._batch_seconds
            self._channel.notify("reports", [self._report(self._entries[number]) for number in self._changed])
            self._changed.clear()

    def _report(self, reported: _Reported) -> EntryReport:
        entry, session, kept, answered = reported.entry, reported.session, None, False
        request, sent = entry.request, reported.sent
        reported.sent, reported.frames_sent = True, entry.frames_sent
        if session is not None and isinstance(request, Kept):
            response, request.response = request.response, None
            answered = response is not None and self._unread.add(entry.number, response)
            if answered and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(SENT_SECONDS, self._send_some)
            if not sent:
                kept = Kept(request.body, request.path, plain(request.headers), request.secrets, valid=request.valid)
                request.body, request.headers = b"", {}
        if not entry.under_way:
            del self._entries[entry.number]
        now = copy(entry)
        now.request = None
        return EntryReport(entry.number, session, now, kept, answered)


class ReportedChanges(Changes):
    """Changes that are reported. Nothing waits for those of an entry: whatever does gets it from a journal."""

    def __init__(self, reports: Reports) -> None:
        super().__init__()
        self._reports = reports

    def notify(self, entry: Entry | None = None) -> None:
        if entry is None:
            super().notify()
        else:
            self._reports.changed(entry)


def plain(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers as a value that can be sent; the case of names does not matter."""
    return CIMultiDict(headers.items())
