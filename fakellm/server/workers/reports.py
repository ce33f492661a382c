"""What a worker reports to the owner of the state about its requests, for the journals. Owns when that is sent: once in
a turn of the event loop, after the replies of that turn.

What has left the worker is not lost when it is killed. A reply that is sent over time is reported only on demand: it
would have to be made once more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from copy import copy
from itertools import count

from msgspec import Struct
from multidict import CIMultiDict

from fakellm.engine.entry import MOST_REPLY, Entry, Kept
from fakellm.engine.journal import MOST_PACED
from fakellm.engine.response import Response
from fakellm.server.workers.channel import Channel
from fakellm.wire.on_demand import OnDemand

_MOST_RECENT = 64
"""Responses that both ends have in common."""


class SessionName(Struct, frozen=True):
    """A session of the owner. `serial`: another one if it has been replaced."""

    name: str
    serial: int


class EntryReport(Struct):
    """What a worker reports of an entry.

    number: the worker's own number of it. session: None for an entry that the owner has made itself. entry: as it is
    now, without its request. kept: its request, the first time. response: what answers it, under this key, if the owner
    does not have that. on_demand: whether the response can still be sent.
    """

    number: int
    session: SessionName | None
    entry: Entry
    kept: Kept | None
    key: int | None = None
    response: Response | None = None
    on_demand: bool = False


class Recent:
    """The responses that were sent last, the same ones at both ends of a channel: equal requests share one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Response] = OrderedDict()

    def has(self, key: int) -> bool:
        """Whether the response with this key is among them."""
        return key in self._kept

    def keep(self, key: int, response: Response | None) -> Response:
        """The response with this key; `response`: None if both ends have it."""
        if response is not None:
            self._kept[key] = response
        self._kept.move_to_end(key)
        found = self._kept[key]
        if len(self._kept) > _MOST_RECENT:
            self._kept.popitem(last=False)
        return found


class _Reported:
    """An entry whose reply has not ended, or has not been reported."""

    def __init__(self, session: SessionName | None, entry: Entry) -> None:
        self.session = session
        self.entry = entry
        self.sent = session is None


class Reports:
    """The entries of one worker that the owner does not know as they are now."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = count(1)
        self._entries: dict[int, _Reported] = {}
        self._changed: dict[int, None] = {}
        """The numbers of those that have changed, in order."""
        self._on_demand: OrderedDict[int, Response] = OrderedDict()
        self._recent = Recent()
        self._sending = False

    def add(self, session: SessionName | None, entry: Entry) -> None:
        """Gives an entry its number, by which it is reported from now on. `session`: None if the owner has the
        entry."""
        entry.number = next(self._numbers)
        self._entries[entry.number] = _Reported(session, entry)
        self.changed(entry)

    def changed(self, entry: Entry) -> None:
        """An entry has changed, and will be reported; not one of a control route, which has no number."""
        if entry.number in self._entries:
            self._changed[entry.number] = None
            if not self._sending:
                self._sending = True
                asyncio.get_running_loop().call_soon(self._send)

    def send(self, progress: bool, replies: bool) -> None:
        """Reports everything that has changed. `progress`: also how far the replies under way are. `replies`: also
        those that are reported only on demand."""
        if progress:
            self._changed.update(dict.fromkeys(self._entries))
        self._send()
        if replies and self._on_demand:
            self._channel.notify("replies", list(self._on_demand.items()))
            self._on_demand.clear()

    def _send(self) -> None:
        self._sending = False
        if self._changed:
            self._channel.notify("reports", [self._report(self._entries[number]) for number in self._changed])
            self._changed.clear()

    def _report(self, reported: _Reported) -> EntryReport:
        entry, session = reported.entry, reported.session
        report = EntryReport(entry.number, session, copy(entry), None)
        report.entry.request = None
        if session is not None and isinstance(entry.request, Kept):
            self._fill(report, entry.request, reported.sent)
        reported.sent = True
        if not entry.under_way:
            del self._entries[entry.number]
        return report

    def _fill(self, report: EntryReport, kept: Kept, sent: bool) -> None:
        response, kept.response = kept.response, None
        if not sent:
            report.kept = Kept(kept.body, kept.path, plain(kept.headers), kept.secrets, kept.valid)
            kept.body, kept.headers = b"", {}
        if response is None or response.size > MOST_REPLY:
            return
        if isinstance(response.bursts, OnDemand):
            report.on_demand = True
            self._on_demand[report.number] = response
            if len(self._on_demand) > MOST_PACED:
                self._on_demand.popitem(last=False)
            return
        report.key = id(response)
        known = self._recent.has(report.key)
        report.response = None if known else response
        self._recent.keep(report.key, report.response)


def plain(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers as a value that can be sent; the case of names does not matter."""
    return CIMultiDict(headers.items())
