"""The journal of a session that servers share: a copy of what Redis has of it.

Owns how the copy follows Redis, which numbers the entries and drops the oldest. Entries of this server's own requests
are reported, and come back like all others.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from msgspec import Struct

from fakellm.engine.entry import Entry
from fakellm.engine.journal import Journal, Shelf
from fakellm.server.redis_state.entry_bytes import EntryState, decoded_reply, decoded_request, decoded_state
from fakellm.server.workers.owned import answer, update
from fakellm.server.workers.reports import Reports, SessionName

log = logging.getLogger("fakellm")


class PulledEntry(Struct, frozen=True, array_like=True):
    """An entry in Redis that is new, or has changed. request: None if it is not new. reply: None if that is not."""

    id: str
    number: int
    request: bytes | None
    state: bytes | None
    reply: bytes | None

    @property
    def server(self) -> str:
        """The name of the server that has answered it."""
        return self.id.rpartition(":")[0]


class Pulled(Struct, frozen=True):
    """What is new in a journal. `rules`: those of dropped entries that may be new."""

    more: bool
    place: str
    changed: str
    dropped: int
    unmatched: int
    lost: int
    rules: Sequence[str]
    servers: Collection[str]
    items: Sequence[PulledEntry]


class SharedJournal(Journal):
    """A copy of the journal of a session, which gets what `Pulled` has of it."""

    def __init__(self, shelf: Shelf, session: SessionName, reports: Reports) -> None:
        super().__init__(shelf)
        self.session = session
        self._reports = reports
        self.place, self.changed = "0", ""
        """The sequence numbers of the last entry and of the last change that it has."""
        self.known = ""
        """How many entries were dropped and lost when the rules of these were last read."""
        self._lost = 0
        self._under_way: dict[int, tuple[str, Entry]] = {}
        """The entries that may still change, with the names of their servers, by number."""
        self._pending: dict[int, EntryState] = {}
        """Their states, if their replies are still to come."""

    def add(self, entry: Entry) -> None:
        entry.advanced = self.advanced
        self._reports.add(self.session, entry)

    def remeasure(self, entry: Entry) -> None:
        if self.has(entry):
            super().remeasure(entry)
        else:
            self._reports.changed(entry)

    @property
    def dropped(self) -> int:
        return super().dropped + self._lost

    def drop(self) -> None:
        number = self._entries[0].number
        self._under_way.pop(number, None)
        self._pending.pop(number, None)
        super().drop()

    @property
    def is_under_way(self) -> bool:
        """Whether any of its entries may still change."""
        return bool(self._under_way)

    def release(self) -> None:
        """Drops the copies of all entries, to read them again when they are needed."""
        rules = set(self.dropped_rules)
        self.close()
        self.dropped_rules = rules
        self.place, self.changed = "0", ""

    def follow(self, pulled: Pulled, clock: float, now: float) -> list[Entry]:
        """Takes over what is new; returns the entries with it. `clock`: see `EntryState`. `now`: on that clock."""
        while self._entries and self._entries[0].number <= pulled.dropped:
            self.drop()
        if not self._entries:
            self.count = pulled.dropped
        found = [entry for item in pulled.items if (entry := self._followed(item, clock))]
        found += self._ended(pulled.servers, now)
        self.place, self.changed, self.known = pulled.place, pulled.changed, f"{pulled.dropped}:{pulled.lost}"
        self._lost, self.dropped_unmatched = pulled.lost, pulled.unmatched
        self.dropped_rules.update(pulled.rules)
        return found

    def _followed(self, item: PulledEntry, clock: float) -> Entry | None:
        """As `_take_over`; an entry that cannot be read is an empty one, so that those after it keep their numbers."""
        try:
            return self._take_over(item, clock)
        except Exception:  # whatever is wrong with one entry, the others are read
            log.exception("the journal of the session %r has an entry that cannot be read", self.session.name)
        if item.request is None:
            return None
        entry = Entry("", "", explanation="This server cannot read this entry.", outcome="server stopped")
        super().add(entry)
        return entry

    def _take_over(self, item: PulledEntry, clock: float) -> Entry | None:
        """The entry, after it has what is new of it; None if it has been dropped."""
        entry = self._entry(item.number) if item.request is None else decoded_request(item.request)
        if entry is None:
            return None
        if item.state is not None:
            self._change(entry, item, decoded_state(item.state, clock))
        if item.reply is not None and (response := decoded_reply(item.reply)):
            answer(entry, response)
        if item.request is None:
            super().remeasure(entry)
        else:
            advanced = entry.advanced
            super().add(entry)
            entry.advanced = advanced  # more time may have passed until now
        if entry.under_way:
            self._under_way[entry.number] = item.server, entry
        else:
            self._under_way.pop(entry.number, None)
        return entry

    def _change(self, entry: Entry, item: PulledEntry, state: EntryState) -> None:
        """An entry has another state, unless its reply is still to come: nothing finds it without."""
        if state.pending and item.reply is None:
            self._pending[item.number] = state
            entry.started = state.started
        else:
            self._pending.pop(item.number, None)
            update(entry, state)

    def _entry(self, number: int) -> Entry | None:
        place = number - self._entries[0].number if self._entries else -1
        return self._entries[place] if 0 <= place < len(self._entries) else None

    def _ended(self, servers: Collection[str], now: float) -> list[Entry]:
        """The entries whose replies have ended because their servers are gone."""
        found = [entry for server, entry in self._under_way.values() if server not in servers]
        for entry in found:
            if state := self._pending.pop(entry.number, None):
                update(entry, state)
            if entry.under_way:
                entry.outcome, entry.ended = "server stopped", now
            del self._under_way[entry.number]
        return found
