"""Writes the journals of this server to Redis, and reads those of all servers from there.

Owns when that is done. No request waits until it is written: entries leave in batches, and before anything reads a
journal, all servers write what they have. A server that nobody reads from reads nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from sys import maxsize
from typing import Any, Protocol

from fakellm.base.errors import RequestError
from fakellm.engine.entry import Entry
from fakellm.engine.journal import MOST_ENTRIES, Shelf
from fakellm.engine.state import Limits
from fakellm.server.control.shown_entry import AT_ONCE
from fakellm.server.offload import in_thread
from fakellm.server.redis_state.backlog import Backlog, Unwritten
from fakellm.server.redis_state.entry_bytes import encoded_reply, encoded_request, encoded_state
from fakellm.server.redis_state.journal_scripts import KEEP, LOSE, PULL, WRITE
from fakellm.server.redis_state.link import REFUSED, UNAVAILABLE, RedisLink
from fakellm.server.redis_state.servers import Servers
from fakellm.server.redis_state.shared_journal import Pulled, PulledEntry, SharedJournal
from fakellm.server.workers.reports import Reports, SessionName

BATCH_MILLISECONDS = 50
"""The least time between two batches of entries: what a server has not written is lost if it is killed."""
NUMBERED_SECONDS = 1
"""How old entries are that get their numbers although nothing reads them: all servers have written theirs by then."""
LOOK_SECONDS = 1.0
"""How often all servers write how far replies are while somebody waits or watches."""
MOST_AT_ONCE = 2**20
"""Bytes of entries that are written or read at once, unless one has more."""
_MOST_ITEMS = 500
"""Entries that are written at once."""

log = logging.getLogger("fakellm")


class Sessions(Protocol):
    """The copies of sessions of this server."""

    def journal(self, name: str) -> SharedJournal | None:
        """The journal of a session, if there is a copy of it."""

    async def read(self, name: str) -> None:
        """Copies a session, if there is no copy. Raises RequestError."""

    async def read_again(self, name: str) -> None:
        """Brings the copy of a session up to date. Raises RequestError."""


class Journals:
    """The journals of all sessions. `kept`: the seconds that Redis keeps them.

    changed: called when a journal may have changed. settled: called with the session and the entry of a reply that
    stalls.
    """

    def __init__(self, link: RedisLink, servers: Servers, sessions: Sessions, limits: Limits, kept: int) -> None:
        self._link = link
        self._servers = servers
        self._sessions = sessions
        self._most_bytes = limits.journal_bytes
        self._kept = kept
        self._backlog = Backlog(limits.journal_bytes, self._write_soon)
        self.reports = Reports(self._backlog, limits.journal_bytes, BATCH_MILLISECONDS / 1000)
        self.shelf = Shelf(maxsize, maxsize)  # Redis drops the oldest
        self.changed: Callable[[], None] = lambda: None
        self.settled: Callable[[str, Entry], None] = lambda name, entry: None
        self._writing, self._pulling = asyncio.Lock(), asyncio.Lock()
        self._write_task: asyncio.Task[None] | None = None
        self._anew = False
        """Whether all replies under way are to be written again."""
        self._read: OrderedDict[str, SharedJournal] = OrderedDict()
        """The journals that have been read, the one read longest ago first."""
        self._followed: Counter[str | None] = Counter()
        """The sessions that somebody waits for, or None for all."""
        self._announced: dict[str, None] = {}
        """The sessions of which entries have been written since their journals were read."""
        self._more = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def journal(self, name: str, serial: str) -> SharedJournal:
        """The journal of a new copy of a session."""
        return SharedJournal(self.shelf, SessionName(name, serial), self.reports)

    async def stop(self) -> None:
        """Writes what there is, if Redis can be reached."""
        with suppress(RequestError):
            await self._write_all()
        for task in (self._write_task, self._following):
            if task:
                task.cancel()

    def connected(self) -> None:
        """Must be called whenever Redis can be reached again: others may have taken replies under way for ended."""
        self._anew = True
        self._write_soon()

    async def flushed(self, number: str) -> None:
        """Writes everything for a server that reads, and answers it. Raises RequestError."""
        await self._write_all()
        await self._servers.answer(number)

    async def _write_all(self) -> None:
        await self.reports.send(progress=maxsize, replies=True)
        self._backlog.end_replies(self.reports.has_reply)
        self._backlog.restore()
        await self.write()

    def announced(self, names: Sequence[str]) -> None:
        """A server has written entries of these sessions."""
        if self._followed:
            self._announced.update(dict.fromkeys(names))
            self._more.set()

    async def read(self, name: str) -> None:
        """Brings a journal up to date. Raises RequestError."""
        await self._servers.ask("flush")
        await self._pull(name)

    async def read_all(self, names: Iterable[str]) -> None:
        """Brings these journals up to date. Raises RequestError if Redis cannot be reached."""
        await self._servers.ask("flush")
        await self._pull_all(names)

    async def _pull_all(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                await self._pull(name)
            except RequestError as error:  # this server cannot have that session
                if error.code in (UNAVAILABLE, REFUSED):
                    raise

    @contextmanager
    def following(self, name: str | None) -> Iterator[None]:
        """Within this block, a journal is kept up to date; with None, those of all sessions."""
        self._followed[name] += 1
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._followed[name] -= 1
            if not self._followed[name]:
                del self._followed[name]

    async def _follow(self) -> None:
        while self._followed:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._more.wait()
            self._more.clear()
            try:
                await self._servers.ask("flush")
                await self._pull_announced()
            except RequestError:
                log.debug("journals cannot be read now", exc_info=True)  # whoever waits goes on waiting
            except Exception:  # whatever is wrong with one entry, those who wait get what comes after it
                log.exception("entries are lost")
            await asyncio.sleep(BATCH_MILLISECONDS / 1000)
        self._following = None

    async def _pull_announced(self) -> None:
        names, self._announced = self._announced, {}
        names.update((name, None) for name, journal in self._read.items() if journal.is_under_way)
        await self._pull_all([name for name in names if name in self._followed or None in self._followed])

    async def _pull(self, name: str) -> None:
        """Reads what is new in the journal of a session."""
        async with self._pulling:
            more = True
            while more:
                await self._sessions.read(name)
                journal = self._sessions.journal(name)
                if journal is None:
                    continue
                pulled = await self._pulled(journal)
                if pulled is None:
                    await self._sessions.read_again(name)
                elif self._sessions.journal(name) is journal:
                    self._take_over(name, journal, pulled)
                    more = pulled.more
            self._make_room(name)

    def _take_over(self, name: str, journal: SharedJournal, pulled: Pulled) -> None:
        now = asyncio.get_running_loop().time()
        found = journal.follow(pulled, self._servers.clock, now)
        self._read[name] = journal
        for entry in found:
            if entry.outcome == "stalled":
                self.settled(name, entry)
        if found:
            self.changed()

    async def _pulled(self, journal: SharedJournal) -> Pulled | None:
        """What is new in a journal in Redis; None if the session has been replaced."""
        session = journal.session
        since = journal.place, journal.changed, MOST_AT_ONCE, journal.known, self._servers.pattern
        values = self._kept, session.name, session.serial, self._most_bytes, MOST_ENTRIES, *since
        found = await self._link.call(PULL, [], *values, binary=True)
        if found is None:
            return None
        more, place, changed, facts, rules, channels, items = found
        dropped, unmatched, lost = (int(fact or 0) for fact in facts)
        return Pulled(
            more=bool(more),
            place=place.decode(),
            changed=changed.decode(),
            dropped=dropped,
            unmatched=unmatched,
            lost=lost,
            rules=[rule.decode() for rule in rules],
            servers={self._servers.name, *self._servers.named([channel.decode() for channel in channels])},
            items=[PulledEntry(each[0].decode(), int(each[1]), *each[2:]) for each in items],
        )

    def _make_room(self, name: str) -> None:
        """Drops the copies of journals that were read longest ago, if all take more than Redis keeps."""
        if name in self._read:
            self._read.move_to_end(name)
        for other in list(self._read):
            if self._sessions.journal(other) is not self._read[other]:
                del self._read[other]
        while self.shelf.size > self._most_bytes and len(self._read) > 1:
            self._read.popitem(last=False)[1].release()

    async def keep(self, name: str) -> None:
        """Has Redis keep a journal for as long again. Raises RequestError."""
        await self._link.call(KEEP, [], self._kept, name)

    def _write_soon(self) -> None:
        if self._write_task is None and self._link.up:
            self._write_task = asyncio.create_task(self._write_now())

    async def _write_now(self) -> None:
        try:
            more = True
            while more:
                if self._anew:
                    self._anew = False
                    await self.reports.send(progress=maxsize, replies=False, anew=True)
                with suppress(RequestError):  # it is written when Redis is back
                    await self.write()
                more = self._anew  # Redis was lost meanwhile, and is back
        finally:
            self._write_task = None

    async def write(self) -> None:
        """Writes everything that is staged. Raises RequestError if Redis cannot be reached. Entries that Redis refuses
        are lost: those after them would wait for them for ever."""
        async with self._writing:
            while self._backlog:
                await self._write_lost()
                items = self._backlog.take(MOST_AT_ONCE, _MOST_ITEMS)
                try:
                    gone = await self._write(items)
                except BaseException as error:
                    if not isinstance(error, RequestError) or error.code != REFUSED:
                        self._backlog.put_back(items)
                        raise
                    self._backlog.lose(items)
                else:
                    self._backlog.restore()
                    await self._read_again(gone)

    async def _read_again(self, names: Sequence[str]) -> None:
        """Copies sessions that have started anew, although nothing has replaced them."""
        for name in names:
            log.error("Redis has lost the session %r, which starts anew; its journal counts lost entries", name)
            with suppress(RequestError):  # there is no copy then, or all are read again when Redis is back
                await self._sessions.read_again(name)

    async def _write(self, items: Sequence[Unwritten]) -> Sequence[str]:
        """Writes these; returns the names of the sessions that Redis has lost."""
        make = partial(_encoded, items, self._servers)
        values = make() if sum(item.bytes for item in items) <= AT_ONCE else (await in_thread(make))()
        names = list({item.session.name for item in items})
        message = json.dumps(["written", "", names])
        bounds = self._most_bytes, MOST_ENTRIES, NUMBERED_SECONDS
        gone: Sequence[str] = await self._link.call(
            WRITE, [], self._kept, *bounds, self._link.channel, message, *values
        )
        return gone

    async def _write_lost(self) -> None:
        while self._backlog.lost:
            session, lost = self._backlog.lost.popitem()  # more may be lost meanwhile
            values = session.name, session.serial, lost.entries, lost.unmatched, *lost.rules
            try:
                await self._link.call(LOSE, [], self._kept, *values)
            except BaseException:
                self._backlog.lose_again(session, lost)
                raise
            log.warning("journal entries dropped before they were written to Redis: %d", lost.entries)


def _encoded(items: Sequence[Unwritten], servers: Servers) -> list[Any]:
    """The arguments of WRITE for these items."""
    values: list[Any] = []
    for item in items:
        try:
            values += _of_item(item, servers)
        except Exception:  # whatever is wrong with one entry, the others are written
            log.exception("a journal entry is lost")
    return values


def _of_item(item: Unwritten, servers: Servers) -> list[Any]:
    entry, kept, response = item.entry, item.kept, item.response
    started, facts, state = 0.0, "", b""
    if entry is not None:
        started = (entry.started or 0.0) + servers.clock
        facts = f"{int(entry.matched)}{entry.rule or ''}"
        state = encoded_state(entry, servers.clock, item.pending)
    request = b"" if entry is None or kept is None else encoded_request(entry, kept)
    reply, size = encoded_reply(response) if item.final else b"", response.size if response else 0
    place = item.session.name, item.session.serial, f"{servers.name}:{item.number}"
    return [*place, repr(started), facts, request, item.size, state, reply, size]
