"""Sends what happens on a server to whoever watches, as server-sent events. Owns who watches, when it looks, and what a
reader gets that was away or is too slow.

Once nobody watches any more, nothing is looked at, encoded or kept. Knows no routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

import msgspec

from fakellm.base.errors import RequestError
from fakellm.base.words.count import count
from fakellm.engine.entry import Entry
from fakellm.engine.response import Watch
from fakellm.model.request import Request
from fakellm.server.application import Application
from fakellm.server.control.changes import Changes
from fakellm.server.control.entry_matches import search
from fakellm.server.control.shown_entry import Parse
from fakellm.server.listener import EndedResponse
from fakellm.server.live.observer import (
    Change,
    EntryChanged,
    Observer,
    ScenarioChanged,
    SessionBegan,
    SessionEnded,
)
from fakellm.server.live.present import Presents, entry_data, session_data
from fakellm.server.live.ring import Ring, written
from fakellm.server.live.summary import NONE, facts_of
from fakellm.server.requests.log import logger
from fakellm.wire.http.http1 import bursts
from fakellm.wire.plan import Plan

log = logger()

_TICK = 0.1
"""Seconds between two looks: an entry that changes all the time is sent ten times a second."""

LINGER_SECONDS = 30.0
"""How long events are kept for those who come back after the last has left."""

KEEP_ALIVE_SECONDS = 15.0
"""How long a reader gets nothing before it gets a comment, so that both sides notice when the other has gone."""

MOST_WATCHING = 100
"""Readers at the same time."""

_EVENTS_AT_ONCE = 100
"""Events that are written before it is seen whether the reader keeps up."""

_HEAD = bursts(
    Plan(200, (("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")), (), delimited="close")
)[0].data
_RETRY = b"retry: 1000\n\n"


class Watcher(Protocol):
    """A client that watches."""

    head_only: bool

    def write(self, data: bytes) -> None:
        """Writes to the client. Raises ConnectionError if the client has left."""

    async def drain(self) -> None:
        """Returns when there is room for more."""

    def waiting(self) -> AbstractContextManager[None]:
        """Within this block, nothing is sent for long."""


class Watching(Protocol):
    """What sends to clients what happens."""

    async def serve(self, client: Watcher, watch: Watch) -> EndedResponse:
        """Sends events until the client leaves or the server stops. Raises RequestError, status 503, if there is no
        room for another reader."""

    def close(self) -> None:
        """Ends what is sent to everyone."""


class Feed:
    """The events of one server. Create and use it in one event loop."""

    def __init__(self, app: Application, parse: Parse, now: Callable[[], float]) -> None:
        self._app = app
        self._parse = parse
        self._now = now
        self._news = Changes()
        self._presents = Presents(app, parse)
        self._ring = Ring(f"{int(now() * 1_000_000):x}")
        self._watching = 0
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._news.close()
        if self._looking is not None:
            self._looking.cancel()

    async def serve(self, client: Watcher, watch: Watch) -> EndedResponse:
        if self._watching >= MOST_WATCHING:
            most = count(self._watching, "client")
            message = f"{most} at most may read the events of this server: close some pages."
            raise RequestError(503, message, "too_many_watching")
        with suppress(ConnectionError):
            client.write(_HEAD)
            if not client.head_only:
                await self._send(client, watch)
        return EndedResponse(keep_alive=False)

    async def _send(self, client: Watcher, watch: Watch) -> None:
        """Raises ConnectionError if the client has left."""
        client.write(_RETRY)
        with client.waiting(), self._reader():
            number = self._ring.number_of(watch.after)
            reason = "old" if watch.after else None
            while not self._closed:
                count = self._news.count
                found = None if number is None else self._ring.after(number, _EVENTS_AT_ONCE)
                if found is None:
                    number, reason = await self._begin(client, watch.session, reason), "slow"
                elif found:
                    number = found[-1].number
                    client.write(b"".join(each.data for each in found if watch.session in (None, each.session)))
                elif not await self._news.after(count, KEEP_ALIVE_SECONDS) and not self._closed:
                    client.write(b": keep-alive\n\n")
                await client.drain()

    @contextmanager
    def _reader(self) -> Iterator[None]:
        """Within this block, someone watches."""
        self._watching += 1
        if self._looking is None or self._looking.done():
            observer = Observer(self._app.sessions())  # now: what happens from here on is found
            self._looking = asyncio.get_running_loop().create_task(self._look(observer))
        try:
            yield
        finally:
            self._watching -= 1

    async def _look(self, observer: Observer) -> None:
        """Looks as long as anyone watches or may come back."""
        until = self._now()
        try:
            while self._watching or self._now() < until:
                await asyncio.sleep(_TICK)
                try:
                    if changes := observer.look(self._app.sessions()):
                        await self._add(changes)
                except Exception:  # whatever is wrong with one request, those who watch see what comes after it
                    log.exception("events are lost")
                    self._ring.lose()
                    self._news.notify()
                if self._watching:
                    until = self._now() + LINGER_SECONDS
        finally:
            self._ring.lose()

    async def _add(self, changes: list[Change]) -> None:
        """Adds these changes to the events that are kept, and wakes those who wait for them."""
        unread = {
            id(each.observed.entry): each.observed
            for each in changes
            if isinstance(each, EntryChanged) and each.observed.facts is None
        }

        def read(entry: Entry, request: Request | None) -> None:
            unread[id(entry)].facts = facts_of(request, entry)

        await search([observed.entry for observed in unread.values()], self._parse, read)
        for change in changes:
            self._ring.add(*self._event(change))
        self._news.notify()

    def _event(self, change: Change) -> tuple[str, str, bytes]:
        """The kind of an event, its session and its data."""
        name = change.session
        if isinstance(change, EntryChanged):
            return "entry", name, entry_data(name, change.observed.entry, change.observed.facts or NONE)
        if isinstance(change, ScenarioChanged):
            return "scenario", name, self._presents.scenario(name)
        state = {SessionBegan: "new", SessionEnded: "gone"}[type(change)]
        return "session", name, session_data(name, state)

    async def _begin(self, client: Watcher, session: str | None, reason: str | None) -> int:
        """Sends what there is now to a reader that has nothing, and returns the number of the event after which it goes
        on. `reason`: why it has nothing; None if it is new."""
        present = self._presents.after(self._ring.last, session)
        start = {"now": self._now(), "shown": present.shown}
        if reason:
            client.write(written("gap", msgspec.json.encode({**start, "reason": reason})))
        else:
            client.write(written("start", msgspec.json.encode(start)))
        place = 0
        while (piece := await present.piece(place)) is not None:
            client.write(piece)
            await client.drain()
            await asyncio.sleep(0)  # the next piece may be there already
            place += 1
        client.write(written("live", b"{}", self._ring.id_of(present.number)))
        return present.number
