"""Finds what has changed in the sessions of a server since the last look at them.

A server that nobody watches does nothing for this: whoever watches looks, again and again. What changes several times
between two looks is found once. Knows no events and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from fakellm.engine.entry import Entry
from fakellm.engine.state import Session
from fakellm.server.live.summary import Facts

MOST_CHANGES = 500
"""Entries that one look finds; the others are found in the next."""


class Watched(Struct, gc=False):
    """An entry that was found, as it was then. `facts`: what is shown of its request, once that has been read."""

    entry: Entry
    state: tuple[object, ...] = ()
    facts: Facts | None = None

    def changed(self) -> bool:
        """Whether the entry has changed since this was last called."""
        entry, before = self.entry, self.state
        self.state = (entry.frames_sent, entry.outcome, entry.status, entry.frames, entry.rule, entry.ended)
        return self.state != before


class SessionBegan(Struct, frozen=True):
    """There is a session that was not there at the last look."""

    session: str


class SessionEnded(Struct, frozen=True):
    """A session has been reset, dropped or replaced, with its journal."""

    session: str


class ScenarioChanged(Struct, frozen=True):
    """A session serves other rules."""

    session: str


class EntryChanged(Struct, frozen=True):
    """An entry is new, or has changed."""

    session: str
    observed: Watched


Change = SessionBegan | SessionEnded | ScenarioChanged | EntryChanged


class Observer:
    """Looks at the sessions of a server. What is there at first is known."""

    def __init__(self, sessions: Mapping[str, Session[Any]]) -> None:
        self._known = {name: _Known(session) for name, session in sessions.items()}
        for known in self._known.values():
            known.know()

    def look(self, sessions: Mapping[str, Session[Any]]) -> list[Change]:
        """The changes since the last look, in an order in which they could have happened."""
        ended = [name for name, known in self._known.items() if sessions.get(name) is not known.session]
        changes: list[Change] = [SessionEnded(name) for name in ended]
        for name in ended:
            del self._known[name]
        left = MOST_CHANGES
        for name, session in sessions.items():
            if (known := self._known.get(name)) is None:
                known = self._known[name] = _Known(session)
                changes.append(SessionBegan(name))
            if known.content is not session.content:
                known.content = session.content
                changes.append(ScenarioChanged(name))
            for observed in known.entries(left):
                changes.append(EntryChanged(name, observed))
                left -= 1
        return changes


class _Known:
    """What is known of a session."""

    def __init__(self, session: Session[Any]) -> None:
        self.session = session
        self.content: object = None
        self._count = 0
        """The number of the newest entry that was found."""
        self._under_way: dict[int, Watched] = {}
        """Those of the found entries that may still change, the one found longest ago first."""

    def know(self) -> None:
        """Marks everything that exists now as reported."""
        self.content = self.session.content
        self._count = self.session.journal.count
        for entry in self.session.journal:
            if entry.under_way:
                self._under_way[entry.number] = Watched(entry)
                self._under_way[entry.number].changed()

    def entries(self, most: int) -> Iterator[Watched]:
        """The entries that are new or have changed, at most so many."""
        for number, observed in list(self._under_way.items()):
            if most and observed.changed():
                del self._under_way[number]
                yield self._found(observed)
                most -= 1
        journal = self.session.journal
        if journal.count > self._count:
            new = list(journal)[-(journal.count - self._count) :][:most]
            for entry in new:
                observed = Watched(entry)
                observed.changed()
                yield self._found(observed)
            self._count = new[-1].number if new else (journal.count if most else self._count)

    def _found(self, observed: Watched) -> Watched:
        if observed.entry.under_way:
            self._under_way[observed.entry.number] = observed
        return observed
