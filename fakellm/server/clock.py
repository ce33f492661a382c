"""The clock of a running server. Owns sleeping: everything that waits shares one timer of the event loop."""

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush
from typing import Protocol

_TURN = 64
"""How many waits end before other work gets its turn: writing a frame for each takes less than a millisecond."""


class Waiting(Protocol):
    """What waits for a point in time."""

    @property
    def over(self) -> bool:
        """Whether it has been cancelled; it stays so."""

    def due(self, now: float) -> float | None:
        """Called at the due time or, if the loop was busy, later; `now` is the time. Returns the next due time, or
        None. Must not raise."""


class Clock:
    """Ends waits in the order of their due times, with a single timer for the earliest of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, Waiting]] = []
        self._count = 0  # orders waits with equal due times: first come, first served
        self._cancelled = 0  # how many of those in the heap have been cancelled
        self._timer: asyncio.TimerHandle | None = None
        self.now = self.loop.time
        """Seconds on the loop's monotonic clock."""

    def at(self, due: float, waiting: Waiting) -> None:
        """Calls `waiting.due` at this time, or in the next turn of the loop if it has passed."""
        self._count += 1
        heappush(self._waiting, (due, self._count, waiting))
        if self._waiting[0][0] == due:
            self._set()

    async def until(self, due: float) -> None:
        """Returns at `due`, or at once if `due` has passed."""
        wait = _Wait(self.loop.create_future())
        self.at(due, wait)
        try:
            await wait.woken
        finally:
            if wait.woken.cancelled():
                self.forget()

    def forget(self) -> None:
        """Counts a cancelled wait: must be called once for each that is over before it is due.

        Up to half of the heap may be cancelled waits; then it is rebuilt without them.
        """
        self._cancelled += 1
        if self._cancelled * 2 > len(self._waiting):
            self._waiting[:] = [wait for wait in self._waiting if not wait[2].over]
            heapify(self._waiting)
            self._cancelled = 0
            self._set()

    def _set(self) -> None:
        """Sets the timer to the earliest wait, or to none."""
        due = self._waiting[0][0] if self._waiting else None
        if self._timer is not None and self._timer.when() != due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and due is not None:
            self._timer = self.loop.call_at(due, self._ring)

    def _ring(self) -> None:
        """Ends the waits that are due; those beyond one turn follow in the next, because their time has passed."""
        self._timer = None
        waiting, now, left = self._waiting, self.now(), _TURN
        while left and waiting and waiting[0][0] <= now:
            first = heappop(waiting)[2]
            if first.over:
                self._cancelled -= 1
                continue
            left -= 1
            following = first.due(now)
            if following is not None:
                self._count += 1
                heappush(waiting, (following, self._count, first))
        self._set()


class _Wait:
    """A task that waits."""

    def __init__(self, woken: asyncio.Future[None]) -> None:
        self.woken = woken

    @property
    def over(self) -> bool:
        return self.woken.done()

    def due(self, now: float) -> None:
        self.woken.set_result(None)
