"""The owner's end for one worker: what the worker reports of its requests, and what it requests.

Owns the entries of the worker that may still change, and its stepped replies. `staging` decides when entries get into
journals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fakellm.engine.journal import MOST_ENTRIES
from fakellm.engine.response import Response, Watch
from fakellm.engine.state import Admission, AttemptCount
from fakellm.quotas.quota import Demand, Standing
from fakellm.server.stepping import Stepped
from fakellm.server.workers.channel import Channel, Handler, long
from fakellm.server.workers.counted import Counted
from fakellm.server.workers.owned import Attempt, Owned, answer, update
from fakellm.server.workers.reports import EntryReport, SessionName
from fakellm.wire.plan import Plan

if TYPE_CHECKING:
    from fakellm.server.workers.owner import Owner


SILENT_SECONDS = 5.0
"""How long a worker that does not answer is waited for; one that stands still must not hold up the others."""

_Taking = tuple[AttemptCount, Standing | None, int | None]

_SWEEP = 100
"""How many entries that no journal has are kept at least, besides as many as journals have."""


class FarWatcher:
    """A client of a worker that watches: what is written for it leaves with `drain`. Implements `Watcher`."""

    def __init__(self, worker: Channel, number: int, head_only: bool) -> None:
        self.head_only = head_only
        self._worker = worker
        self._number = number
        self._data = b""

    def write(self, data: bytes) -> None:
        self._data += data

    async def drain(self) -> None:
        data, self._data = self._data, b""
        if data:
            await self._worker.call("watched", self._number, data)

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()  # the worker notices that the client leaves


class Link:
    """One worker, as the owner knows it. `ready`: done when it accepts connections."""

    def __init__(self, owner: Owner, ready: asyncio.Future[None]) -> None:
        self._owner = owner
        self._ready = ready
        self._entries: dict[int, Owned] = {}
        """Those whose replies are under way, by the worker's numbers."""
        self._unread: dict[int, Owned] = {}
        """Those whose replies the worker has, the oldest first."""
        self._most_unread = _SWEEP
        """With more of them, those are forgotten that no journal has any more."""
        self._stepped: dict[int, Stepped] = {}
        self._stepping: dict[int, asyncio.Task[None]] = {}
        self.joined = False
        """Whether the worker answers the owner."""
        self.calls: set[asyncio.Future[Any]] = set()
        """Calls that it has not answered."""
        self.silent = False
        """Whether it has not answered one for long."""
        self.counted = Counted()
        """What it has counted, as far as it has reported that."""
        self._grants = count(1)
        self._held: dict[int, Callable[[], None]] = {}
        """What gives back what requests of the worker hold of quotas, by the numbers of their grants."""
        self.channel = Channel(self._handlers(), self._lost)

    def _handlers(self) -> Mapping[str, Handler]:
        owner = self._owner
        return {
            "joined": self._join,
            "ready": lambda: self._ready.set_result(None),
            "open": owner.open,
            "engine": owner.engine,
            "count": owner.count,
            "following": owner.following,
            "take": self._take,
            "give_back": self._give_back,
            "counted": partial(owner.counted, self),
            "keep": owner.keep,
            "answer": self._answer,
            "watch": self._watch,
            "reports": self._reports,
            "replies": self._replies,
            "stepped": self._begin_stepping,
            "step_sent": self._step_sent,
            "step_over": self._step_over,
        }

    def _join(self) -> None:
        self.joined = True
        self.call("speed", self._owner.settings.speed)  # it may have changed since the worker was given its settings

    def call(self, name: str, *content: Any) -> None:
        """Calls a handler of the worker, if it has joined."""
        if self.joined:
            call = self.channel.call(name, *content)
            self.calls.add(call)
            call.add_done_callback(self._answered)

    def _answered(self, call: asyncio.Future[Any]) -> None:
        self.calls.discard(call)
        self.silent = False
        call.exception()  # a worker that is gone has nothing to do

    def _take(
        self, name: SessionName, demands: Sequence[Demand], attempt: Attempt | None
    ) -> _Taking | Awaitable[_Taking]:
        """Takes what a request demands of quotas, and counts its attempt; also the number of the grant, by which the
        worker gives it back."""
        count, admission = self._owner.take(name, demands, attempt)
        if admission and any(each.unit == "concurrent" and each.wait != 0 for each in admission.standing.left):
            return self._take_again(name, demands, attempt)
        return self._taking(count, admission)

    async def _take_again(self, name: SessionName, demands: Sequence[Demand], attempt: Attempt | None) -> _Taking:
        """Takes it after all workers have reported which replies have ended: a client may have got one of them before
        its worker's message arrived here."""
        await self._owner.staging.flush()
        return self._taking(*self._owner.take(name, demands, attempt))

    def _taking(self, count: AttemptCount, admission: Admission | None) -> _Taking:
        return count, admission and admission.standing, admission and self._hold(admission.give_back)

    def _hold(self, give_back: Callable[[], None] | None) -> int | None:
        if give_back is None:
            return None
        grant = next(self._grants)
        self._held[grant] = give_back
        return grant

    def _give_back(self, grant: int) -> None:
        if give_back := self._held.pop(grant, None):
            give_back()

    async def _answer(
        self, number: int, sent: tuple[str, str, bytes, Mapping[str, str]]
    ) -> tuple[Response, int | None]:
        """The response to a request, and the number of its grant, if it holds something of quotas. `number`: of its
        entry at the worker, 0 if it has none there."""
        response, owned = await self._owner.answer(*sent)
        grant = self._hold(owned.ended)
        if grant is not None:  # the worker may never get to give it back
            owned.ended = partial(self._give_back, grant)
        if number:
            self._entries[number] = owned
        if isinstance(response.bursts, tuple):
            response = replace(response, bursts=tuple(replace(each, data=long(each.data)) for each in response.bursts))
        return response, grant

    async def _watch(self, number: int, watch: Watch, head_only: bool) -> None:
        await self._owner.watch(watch, FarWatcher(self.channel, number, head_only))

    def _reports(self, reports: list[EntryReport]) -> None:
        for report in reports:
            self._report(report)
        self._owner.staging.arrived(any(report.answered for report in reports))

    def _report(self, report: EntryReport) -> None:
        owned = self._entries.get(report.number)
        if owned is not None:
            update(owned.entry, report.entry)
        elif report.session is None or report.kept is None:
            return  # the owner has not answered it yet, or it was cancelled
        else:
            report.entry.request, report.entry.number = report.kept, 0
            owned = self._entries[report.number] = Owned(report.session, report.entry)
            self._owner.staging.stage(owned, len(report.kept.body))
        if report.answered:
            self._unread[report.number] = owned
            owned.pending = True
            if len(self._unread) > self._most_unread:
                self._sweep()
        if not owned.entry.under_way:
            owned.end()
            del self._entries[report.number]
        self._owner.staging.changed(owned, complete=not report.answered)

    def _sweep(self) -> None:
        """Forgets what no journal has any more, and what the worker has forgotten too."""
        kept = [(number, owned) for number, owned in self._unread.items() if not owned.dropped]
        self._unread = dict(kept[-MOST_ENTRIES:])
        self._most_unread = 2 * len(self._unread) + _SWEEP

    def _replies(self, replies: list[tuple[int, Response]]) -> None:
        for number, response in replies:
            if owned := self._unread.pop(number, None):
                answer(owned.entry, response)
                owned.pending = False
                self._owner.staging.changed(owned)

    def _begin_stepping(self, number: int, session: str, plan: Plan) -> None:
        self._stepping[number] = asyncio.ensure_future(self._step(number, session, plan))

    async def _step(self, number: int, session: str, plan: Plan) -> None:
        """Informs the worker how many frames of a reply are released, until the task is cancelled."""
        await self._owner.staging.flush()
        owned, steps, released = self._entries.get(number), self._owner.steps, 0
        if owned is None or owned.session is None:  # it has been replaced: no step will come
            self.channel.notify("released", number, len(plan.frames))
            return
        with steps.reply(session, owned.entry.number, plan) as reply:
            self._stepped[number] = reply

            def more() -> bool:
                return reply.released > released

            while True:
                await steps.until(more)
                released = reply.released
                self.channel.notify("released", number, released)

    def _step_sent(self, number: int) -> None:
        if reply := self._stepped.get(number):
            reply.wrote()

    def _step_over(self, number: int) -> None:
        self._stepped.pop(number, None)
        self._stepping.pop(number).cancel()

    def _lost(self) -> None:
        """The worker is gone: its replies have ended."""
        for number in list(self._stepping):
            self._step_over(number)
        for owned in self._entries.values():
            self._owner.over(owned, "server stopped")
        self._entries.clear()
        for owned in self._unread.values():
            owned.pending = False
        for grant in list(self._held):
            self._give_back(grant)
        self._owner.lost(self)


async def answered(links: Iterable[Link]) -> None:
    """Returns when these workers have answered all calls. One that stands still is given up after SILENT_SECONDS, and
    not waited for again until it answers."""
    if calls := {call for link in links if not link.silent for call in link.calls}:
        _, late = await asyncio.wait(calls, timeout=SILENT_SECONDS)
        for link in links:
            link.silent = link.silent or not late.isdisjoint(link.calls)
