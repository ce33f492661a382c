"""An entry of a worker, as the owner has it. Owns what changes in one that another process reports, and that its
session is not idle until it ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any

from fakellm.engine.engine import Engine
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.response import Response
from fakellm.engine.state import MemorySession
from fakellm.server.workers.reports import SessionName

CHANGING = (
    *("rule", "matched", "explanation", "status", "frames", "frames_sent", "outcome", "fault", "attempts_forgotten"),
    *("without_effect", "late_ms", "dialect", "started", "ended"),
)
"""The fields of an entry that change while its request is answered."""


Attempt = tuple[tuple[Hashable, ...], int]
"""The key and the number of the attempt that a worker takes to be the next."""


def update(entry: Entry, now: Any) -> None:
    """Takes over what has changed. `now`: has these fields, and `reply`."""
    for name in CHANGING:
        setattr(entry, name, getattr(now, name))
    if now.reply.kept:
        entry.reply = now.reply


def answer(entry: Entry, response: Response) -> None:
    """Takes over the response that answers the request."""
    if isinstance(entry.request, Kept):
        entry.request.response = response


class Owned:
    """An entry whose request a worker has received. `name`: of the session that it is for."""

    def __init__(self, name: SessionName, entry: Entry) -> None:
        self.name = name
        self.entry = entry
        self.session: MemorySession[Engine] | None = None
        """The session whose journal has the entry; None before that."""
        self.discarded = False
        """Whether its session was replaced before its journal had the entry."""
        self.pending = False
        """Whether its worker has a reply that has not been fetched."""
        self.ended: Callable[[], None] | None = None
        """To be called when its reply has ended."""
        self._busy: AbstractContextManager[None] | None = None

    @property
    def dropped(self) -> bool:
        """Whether no journal has it any more, or ever will."""
        return self.discarded or (self.session is not None and self.entry.number <= self.session.journal.dropped)

    def journaled(self, session: MemorySession[Engine]) -> None:
        """The journal of this session has the entry; the session is not idle until the reply has ended."""
        self.session = session
        if self.entry.under_way:
            self._busy = session.reply()
            self._busy.__enter__()

    def end(self) -> None:
        """Must be called when its reply has ended."""
        if self.ended:
            self.ended()
            self.ended = None

    def changed(self) -> None:
        """Must be called after a change of an entry that a journal has."""
        assert self.session
        if self._busy and not self.entry.under_way:
            self._busy.__exit__(None, None, None)
            self._busy = None
        self.session.journal.remeasure(self.entry)
