"""The clock of a running server. Owns sleeping: many waits share one timer of the event loop."""

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush


class Clock:
    """Ends waits in the order of their due times, with a single timer for the earliest of them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0  # orders waits with equal due times: first come, first served
        self._cancelled = 0  # how many of those in the heap have been cancelled
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Seconds on the loop's monotonic clock."""
        return self._loop.time()

    async def until(self, due: float) -> None:
        """Returns at `due`, or at once if `due` has passed."""
        woken: asyncio.Future[None] = self._loop.create_future()
        self._count += 1
        heappush(self._waiting, (due, self._count, woken))
        self._set()
        try:
            await woken
        finally:
            if woken.cancelled():
                self._forget()

    def _forget(self) -> None:
        """Counts a cancelled wait. Up to half of the heap may be cancelled waits; then it is rebuilt without them."""
        self._cancelled += 1
        if self._cancelled * 2 > len(self._waiting):
            self._waiting = [wait for wait in self._waiting if not wait[2].done()]
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
            self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            woken = heappop(self._waiting)[2]
            if woken.done():
                self._cancelled -= 1
            else:
                woken.set_result(None)
        self._set()
