"""What a server has not yet written of its requests, for the journals in Redis. Implements `Recipient` of `reports`.

Owns the bound on it: while Redis cannot be reached, the oldest entries are dropped, and counted. Knows no Redis.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, cast

from msgspec import Struct, field

from fakellm.engine.entry import Entry, Kept, size_of
from fakellm.engine.journal import MOST_ENTRIES
from fakellm.engine.response import Response
from fakellm.server.workers.reports import EntryReport, SessionName


class Unwritten(Struct):
    """What is to be written of one entry. number: the server's own number of it. entry: as it is now; None if only the
    reply is new. kept: its request, unless that has been written."""

    session: SessionName
    number: int
    entry: Entry | None = None
    kept: Kept | None = None
    response: Response | None = None
    final: bool = False
    """Whether there will be no other reply."""
    pending: bool = False
    """Whether its reply is still to come."""
    size: int = 0
    """The bytes of its request."""

    @property
    def bytes(self) -> int:
        """Roughly how many bytes it takes; 0 if that is bounded by the number of replies under way."""
        return self.size + (self.response.size if self.response else 0)


class Lost(Struct):
    """Entries of a session that were dropped before they were written."""

    entries: int = 0
    unmatched: int = 0
    rules: set[str] = field(default_factory=set)


class Backlog:
    """At most so many bytes are staged. `staged`: called when there is something to write."""

    def __init__(self, most_bytes: int, staged: Callable[[], None]) -> None:
        self._most_bytes = most_bytes
        self._staged = staged
        self._items: OrderedDict[int, Unwritten] = OrderedDict()
        self._size = 0
        self._open: dict[int, SessionName] = {}
        """The entries of which more may come, and that have not been lost."""
        self._answered: OrderedDict[int, None] = OrderedDict()
        """Those whose replies have not come."""
        self._under_way: set[int] = set()
        """Those whose replies have not ended."""
        self._refused: OrderedDict[int, Unwritten] = OrderedDict()
        """What is new of entries that Redis has, and what it has refused. None of it is staged."""
        self.lost: dict[SessionName, Lost] = {}

    def notify(self, name: str, *content: Any) -> None:
        (self._reports if name == "reports" else self._replies)(*content)
        self._bound()
        self._staged()

    def take(self, most_bytes: int, most_items: int) -> list[Unwritten]:
        """The oldest of what is staged, of about so many bytes; it is no longer staged."""
        found: list[Unwritten] = []
        size = 0
        while self._items and size < most_bytes and len(found) < most_items:
            item = self._items.popitem(last=False)[1]
            self._size -= item.bytes
            size += item.bytes
            item.pending = item.number in self._answered
            found.append(item)
        return found

    def put_back(self, items: Sequence[Unwritten]) -> None:
        """Stages again what could not be written."""
        for item in reversed(items):
            later = self._items.pop(item.number, None)
            if later is not None:
                self._size -= later.bytes
                item = _merged(item, later)
            self._items[item.number] = item
            self._items.move_to_end(item.number, last=False)
            self._size += item.bytes
        self._bound()

    def lose(self, items: Sequence[Unwritten]) -> None:
        """Counts those as lost that Redis does not have and never will. What is new of others waits for `restore`."""
        for item in items:
            if item.kept is None:
                self._refuse(item)
            else:
                self._lose(item)

    def restore(self) -> None:
        """Stages again what Redis has refused: entries must not stay as they were."""
        items = list(self._refused.values())
        self._refused.clear()
        self.put_back(items)

    def _refuse(self, item: Unwritten) -> None:
        item.response = None  # it may be what there is no room for
        if item.number in self._items:
            self.put_back([item])
            return
        self._refused[item.number] = item
        if len(self._refused) > MOST_ENTRIES:
            self._refused.popitem(last=False)

    def lose_again(self, session: SessionName, before: Lost) -> None:
        """These are lost, too: they have been counted as lost before, but Redis has not."""
        lost = self.lost.setdefault(session, Lost())
        lost.entries += before.entries
        lost.unmatched += before.unmatched
        lost.rules |= before.rules

    def __bool__(self) -> bool:
        return bool(self._items or self.lost)

    def end_replies(self, coming: Callable[[int], bool]) -> None:
        """Nothing waits for replies any more, but those that are coming."""
        for number in [number for number in self._answered if not coming(number)]:
            self._reply(number, None)

    def _reply(self, number: int, response: Response | None) -> None:
        del self._answered[number]
        self._put(Unwritten(self._open[number], number, response=response, final=True))
        self._close(number)

    def _reports(self, reports: Sequence[EntryReport]) -> None:
        for report in reports:
            self._report(report)

    def _replies(self, replies: Sequence[tuple[int, Response]]) -> None:
        for number, response in replies:
            if number in self._answered:
                self._reply(number, response)

    def _report(self, report: EntryReport) -> None:
        number, session = report.number, self._open.get(report.number)
        if session is None:
            if report.session is None or report.kept is None:
                return  # it has been lost
            session = self._open[number] = report.session
        if report.kept is not None:
            report.kept.body = cast("bytes", memoryview(report.kept.body).obj)  # only a channel needs it apart
        (self._under_way.add if report.entry.under_way else self._under_way.discard)(number)
        if report.answered:
            self._answered[number] = None
            if len(self._answered) > MOST_ENTRIES:  # as many replies are kept
                self._reply(next(iter(self._answered)), None)
        self._put(Unwritten(session, number, report.entry, report.kept, size=_size(report)))
        self._close(number)

    def _put(self, item: Unwritten) -> None:
        before = self._items.get(item.number)
        if before is not None:
            self._size -= before.bytes
        before = before or self._refused.pop(item.number, None)
        if before is not None:
            item = _merged(before, item)
        self._items[item.number] = item
        self._size += item.bytes

    def _close(self, number: int) -> None:
        """Forgets an entry of which no more will come."""
        if number not in self._under_way and number not in self._answered:
            self._open.pop(number, None)

    def _bound(self) -> None:
        while self._size > self._most_bytes and len(self._items) > 1:
            oldest = next(item for item in self._items.values() if item.bytes)
            self._size -= oldest.bytes
            if oldest.kept is None:
                oldest.response = None
            else:
                del self._items[oldest.number]
                self._lose(oldest)

    def _lose(self, item: Unwritten) -> None:
        assert item.entry
        lost = self.lost.setdefault(item.session, Lost())
        lost.entries += 1
        lost.unmatched += not item.entry.matched
        if item.entry.rule is not None:
            lost.rules.add(item.entry.rule)
        self._under_way.discard(item.number)
        self._answered.pop(item.number, None)
        self._close(item.number)


def _merged(before: Unwritten, after: Unwritten) -> Unwritten:
    """What is to be written of an entry after both."""
    return Unwritten(
        session=before.session,
        number=before.number,
        entry=after.entry or before.entry,
        kept=before.kept or after.kept,
        response=before.response or after.response,
        final=before.final or after.final,
        size=before.size or after.size,
    )


def _size(report: EntryReport) -> int:
    """The bytes of the request of an entry that is new; else 0."""
    if report.kept is None:
        return 0
    entry = copy(report.entry)
    entry.request = report.kept
    return size_of(entry)
