"""What a worker reports to the owner of the state about its requests, for the journals. Owns when that is sent:
right after a reply, or after those of a few milliseconds. What has left the worker is not lost when it is killed.
Replies are sent when a journal is read, and a few in every second. A server that shares its journals does the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from itertools import count, islice
from math import inf
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from multidict import CIMultiDict

from fakellm.engine.entry import Entry, Kept, SentReply
from fakellm.engine.response import Response
from fakellm.server.control.changes import Changes
from fakellm.server.workers.channel import long
from fakellm.server.workers.unread import Unread
from fakellm.wire.on_demand import OnDemand

MOST_SENT = 256 * 1024
"""Bytes of replies that a worker sends to the owner although nobody reads a journal."""
SENT_SECONDS = 1.0
"""How often it does so: what it has not sent is lost if it is killed."""


_BATCH_SECONDS = 0.002
"""The least time between two batches: one of several entries costs less than they would one by one."""
_MOST_REPORTED = 100
"""Entries of one batch: more would hold up the event loops of both ends."""


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
        self._all = asyncio.Lock()
        """Held while everything is sent, so that nobody has to send it twice."""

    def add(self, session: SessionName | None, entry: Entry) -> None:
        """Gives an entry its number, by which it is reported from now on. `session`: None if the owner has the
        entry."""
        entry.number = next(self._numbers)
        self._entries[entry.number] = _Reported(session, entry)
        self.changed(entry)

    def changed(self, entry: Entry) -> None:
        """Records that an entry has changed, to be reported. Those of control routes are not reported."""
        if entry.number in self._entries:
            self._changed[entry.number] = None
            if not self._sending:
                self._sending = True
                loop = asyncio.get_running_loop()
                loop.call_at(self._next, self._send) if self._next > loop.time() else loop.call_soon(self._send)

    async def send(self, progress: int, replies: bool, anew: bool = False) -> None:
        """Reports everything that has changed, a part of it in each turn of the event loop. `progress`: also how far so
        many of the replies under way are, those first that were reported longest ago; `anew`: even if nothing has
        changed. `replies`: also replies."""
        async with self._all:
            for number in list(islice(self._entries, progress)):
                reported = self._entries[number] = self._entries.pop(number)
                if anew or reported.frames_sent != reported.entry.frames_sent:
                    self._changed[number] = None
            for _ in range(0, len(self._changed), _MOST_REPORTED):
                self._send()
                await asyncio.sleep(0)
            for batch in _batches(self._unread.take(inf) if replies else []):
                self._channel.notify("replies", batch)
                await asyncio.sleep(0)

    def has_reply(self, number: int) -> bool:
        """Whether the reply with this number is kept here, and may be sent later."""
        return number in self._unread

    def _send_some(self) -> None:
        self._timer = None
        for batch in _batches(self._unread.take(MOST_SENT, paced=False)):
            self._channel.notify("replies", batch)

    def _send(self) -> None:
        self._sending = False
        numbers = list(islice(self._changed, _MOST_REPORTED))
        if not numbers:
            return
        loop = asyncio.get_running_loop()
        self._next = loop.time() + self._batch_seconds
        self._channel.notify("reports", [self._report(self._entries[number]) for number in numbers])
        for number in numbers:
            del self._changed[number]
        if self._changed:
            self._sending = True
            loop.call_soon(self._send)

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
                kept = Kept(
                    long(request.body), request.path, plain(request.headers), request.secrets, valid=request.valid
                )
                request.body, request.headers = b"", {}
        if not entry.under_way:
            del self._entries[entry.number]
        now = copy(entry)
        now.request = None
        if isinstance(request, Kept) and request.reply is not None:  # it stalled before it was reported
            now.reply = msgspec.json.decode(request.reply, type=SentReply)
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


def _batches(replies: Sequence[tuple[int, Response]]) -> Iterator[Sequence[tuple[int, Response]]]:
    """Replies in parts of about MOST_SENT bytes. A paced reply, which must be rendered again, is a part by itself."""
    batch, size = list[tuple[int, Response]](), 0
    for each in replies:
        batch.append(each)
        size += MOST_SENT + 1 if isinstance(each[1].bursts, OnDemand) else each[1].size
        if size > MOST_SENT:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def plain(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers as a value that can be sent; the case of names does not matter."""
    return CIMultiDict(headers.items())
