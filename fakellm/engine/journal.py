"""The journal: the entries of each session in order, within bounds. Owns their number; writes no file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fakellm.engine.entry import MOST_REPLY, Kept, share, size_of
from fakellm.engine.entry import Entry as Entry  # a journal has entries
from fakellm.engine.response import Response
from fakellm.wire.on_demand import OnDemand

MOST_ENTRIES = 10_000
"""Entries of one journal."""

MOST_PACED = 100
"""Replies that journals keep of those that are sent over time: each is made of very many objects, at which Python's
garbage collector would have to look again and again."""


_NAME_BYTES = 150
"""Bytes that the name of a rule counts for besides its characters."""


class Journal:
    """The last entries of one session, in the order in which their requests arrived."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._entries: deque[Entry] = deque()
        self._sizes: deque[tuple[int, Response | None]] = deque()
        """Of each entry the size, and the response that is kept."""
        self.count = 0
        """How many entries have been added."""
        self.advanced = 0.0
        """How many seconds `advance` has let pass: new entries have this number."""
        self.dropped_unmatched = 0
        """How many entries without a match have been dropped."""
        self.dropped_rules: set[str] = set()
        """The rules that answered the requests of dropped entries."""
        self._names_size = 0
        self.gone = 0
        """How many dropped entries the shelf still has in its order; only the shelf changes it."""

    def add(self, entry: Entry) -> None:
        """Adds the entry with its number; if there is no room, the oldest entries are dropped."""
        self.count += 1
        entry.number, entry.advanced = self.count, self.advanced
        if self._entries:
            share(entry, self._entries[-1])
        self._entries.append(entry)
        response, more = self._counted(entry)
        size = size_of(entry)
        self._sizes.append((size, response))
        self._shelf.added(self, size + more)

    def remeasure(self, entry: Entry) -> None:
        """Must be called after the request, the explanation or the reply of an entry has changed."""
        if self.has(entry):
            place = entry.number - self._entries[0].number
            size, before = self._sizes[place]
            response, more = self._counted(entry)
            self._sizes[place] = size_of(entry), response
            self._shelf.resized(self._sizes[place][0] - size + more - self._shelf.unshared(before))

    def has(self, entry: Entry) -> bool:
        """Whether this entry is in the journal now."""
        place = entry.number - self._entries[0].number if self._entries else -1
        return 0 <= place < len(self._entries) and self._entries[place] is entry

    def close(self) -> None:
        """Drops all entries; nothing of the journal counts any more."""
        while self._entries:
            self.drop()
        size, self._names_size = self._names_size, 0
        self._shelf.resized(-size)

    def drop(self) -> None:
        """Drops the oldest entry. If its reply is under way, the server still has the entry, but not the request."""
        entry = self._entries.popleft()
        if entry.under_way:
            entry.request = None
        self.dropped_unmatched += not entry.matched
        size, response = self._sizes.popleft()
        size += self._shelf.unshared(response)
        if entry.rule is not None and entry.rule not in self.dropped_rules:
            self.dropped_rules.add(entry.rule)
            self._names_size += len(entry.rule) + _NAME_BYTES
            size -= len(entry.rule) + _NAME_BYTES
        self._shelf.dropped(self, entry, size)

    def _counted(self, entry: Entry) -> tuple[Response | None, int]:
        """The response that is kept with an entry, and how many bytes more are kept for it. Counts that the entry has
        it; one that is too long is not kept."""
        response = entry.request.response if isinstance(entry.request, Kept) else None
        if response is None:
            return None, 0
        more = self._shelf.shared(response)
        if more is None:
            entry.request.response = None
            return None, 0
        if response.bursts.__class__ is OnDemand:  # a call less for each request
            self._shelf.paced(self, entry)
        return response, more

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
        self.size = 0
        """How many bytes all entries take."""
        self._responses: dict[int, int] = {}
        """How many entries have each of the responses that are kept, by its identity: equal requests share one."""
        self._paced: dict[int, tuple[Journal, Entry]] = {}
        """The last entries with replies that are sent over time, by identity."""
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
        self.size += more
        while self.size > self._most_bytes and len(self._order) - self._gone > 1:
            self._oldest().drop()

    def dropped(self, journal: Journal, entry: Entry, size: int) -> None:
        """Records that a journal has dropped its oldest entry."""
        self.size -= size
        self._paced.pop(id(entry), None)
        journal.gone += 1
        self._gone += 1
        if self._gone * 2 > len(self._order):
            self._order = deque(each for each in self._order if not self._forget(each))

    def shared(self, response: Response) -> int | None:
        """Counts one more entry that has a response. Returns the bytes that it takes if this is the first, else 0; None
        if it is too long to be kept."""
        key = id(response)
        if key in self._responses:
            self._responses[key] += 1
            return 0
        size = response.size
        if size > MOST_REPLY:
            return None
        self._responses[key] = 1
        return size

    def paced(self, journal: Journal, entry: Entry) -> None:
        """Records an entry whose reply is sent over time; of many, the oldest loses its reply."""
        self._paced.setdefault(id(entry), (journal, entry))
        if len(self._paced) > MOST_PACED:
            journal, entry = self._paced.pop(next(iter(self._paced)))
            if isinstance(entry.request, Kept):
                entry.request.response = None
                journal.remeasure(entry)

    def unshared(self, response: Response | None) -> int:
        """Counts one entry less that has a response. Returns the bytes that it took if this was the last, else 0."""
        if response is None:
            return 0
        key = id(response)
        self._responses[key] -= 1
        if self._responses[key]:
            return 0
        del self._responses[key]
        return response.size

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
