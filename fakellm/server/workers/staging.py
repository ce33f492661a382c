"""Entries on their way from the workers into the journals. Owns when they get there.

They are staged as they arrive. Before anything reads a journal, every worker reports what it has sent; otherwise they
wait until there are many, or for a second. They get into the journals in the order in which their requests arrived.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from fakellm.server.application import settled
from fakellm.server.scenario_app import App
from fakellm.server.workers.link import Link, answered
from fakellm.server.workers.owned import Owned
from fakellm.server.workers.watched_state import WatchedState

MOST_STAGED = 1_000
"""Entries that are staged before they get into the journals although nothing reads these."""
MOST_STAGED_BYTES = 8 * 2**20
"""Bytes of their bodies, likewise."""
STAGED_SECONDS = 1.0
"""How long an entry is staged at most, if nothing reads the journals."""
_LOOK_SECONDS = 0.1
"""How often the workers report how far replies are while somebody watches."""
_MOST_LOOKED_AT = 500
"""Of how many replies each of them then does so."""

log = logging.getLogger("fakellm")


class Staging:
    """The entries that no journal has yet. `links`: the workers that there are at any time."""

    def __init__(self, app: App, state: WatchedState, links: Sequence[Link]) -> None:
        self._app = app
        self._state = state
        self._links = links
        self._staged: list[Owned] = []
        self._bytes = 0
        self._reading = 0
        """How many requests are being answered that depend on what workers report."""
        self._watching = 0
        """How many clients watch."""
        self._looking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._again = False
        """Whether something arrived meanwhile that must be fetched."""

    @contextmanager
    def read(self) -> Iterator[None]:
        """While this block runs, a request is answered that depends on what workers report: replies are fetched too,
        and what arrives gets into the journals at once."""
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this block runs, somebody watches: the journals are kept up to date."""
        self._watching += 1
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())
        try:
            yield
        finally:
            self._watching -= 1

    async def _look(self) -> None:
        while self._watching:
            try:
                await self.flush(progress=_MOST_LOOKED_AT)
            except Exception:  # whatever is wrong now, those who watch see what comes after it
                log.exception("entries are lost")
            await asyncio.sleep(_LOOK_SECONDS)
        self._looking = None

    async def flush(self, progress: int = 0) -> None:
        """Has every worker report what it has not reported, and puts the entries into the journals. `progress`: also
        how far so many replies of each are that are under way."""
        before = set(self._staged)
        for link in self._links:
            if not link.silent:
                link.call("flush", progress, self._reading > 0)
        await answered(self._links)
        self._journal(before)
        self.arrived()

    def _journal(self, before: Collection[Owned]) -> None:
        """`before`: those that were staged before the workers were called. Another may have been reported after its
        worker had answered: it waits for its reply, so that nobody who reads finds it without."""

        def waits(owned: Owned) -> bool:
            ended = not owned.entry.under_way  # a reply under way may be one that is stepped, which waits for this
            return self._reading > 0 and ended and owned.pending and owned not in before

        staged, self._bytes = self._staged, 0
        self._staged = [owned for owned in staged if waits(owned)]
        ready = [owned for owned in staged if not waits(owned)]
        for owned in sorted(ready, key=lambda owned: owned.entry.started or 0.0):
            session = self._state.named(owned.name)
            if session is None:
                owned.discarded = True
                continue
            self._app.session(owned.name.name)  # it has been used, so it is not the one idle for longest
            try:
                session.journal.add(owned.entry)
                owned.journaled(session)
                self._app.changes.notify(owned.entry)
            except Exception:  # whatever is wrong with one entry, the others get there
                owned.discarded = True
                log.exception("an entry is lost")

    def stage(self, owned: Owned, size: int) -> None:
        """Keeps a new entry, whose body has this size, until the next `flush`."""
        self._staged.append(owned)
        self._bytes += size

    def changed(self, owned: Owned, complete: bool = True) -> None:
        """An entry has changed. `complete`: unless its reply is still to come, so that nothing finds it without."""
        if owned.session:
            owned.changed()
            if complete or not self._reading:
                self._app.changes.notify(owned.entry)
            if owned.entry.outcome == "stalled":
                settled(self._app, owned.name.name, owned.entry)

    def arrived(self, answered: bool = False) -> None:
        """Entries may have been staged. While requests wait for something in the journals, they get there at once.
        `answered`: whether there are replies that must be fetched for this."""
        many = len(self._staged) >= MOST_STAGED or self._bytes > MOST_STAGED_BYTES
        if many or (self._reading and (self._staged or answered)):
            self._flush_now()
        elif self._staged and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(STAGED_SECONDS, self._flush_now)

    def _flush_now(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._flushing is None:
            self._flushing = asyncio.ensure_future(self.flush())
            self._flushing.add_done_callback(self._flushed)
        else:
            self._again = True

    def _flushed(self, _task: asyncio.Task[None]) -> None:
        self._flushing = None
        again, self._again = self._again, False
        self.arrived(again)
