"""Wakes what waits until a journal changes: a query that waits for a request, or for how its reply ends.

Knows no journal: whoever changes one calls `notify`.
"""

from __future__ import annotations

import asyncio

from fakellm.engine.entry import Entry


class Changes:
    """The changes to the journals of one server. All calls are made on its event loop."""

    def __init__(self) -> None:
        self.count = 0
        """How many changes there have been."""
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    def notify(self, entry: Entry | None = None) -> None:
        """Counts a change, of this entry if there is one, and wakes all that wait for one."""
        self.count += 1
        if self._waiting:
            self._wake()

    def close(self) -> None:
        """From now on nothing waits: the server stops."""
        self._closed = True
        self._wake()

    async def after(self, count: int, seconds: float) -> bool:
        """Returns True once there have been more than `count` changes, and False if there were none for so many seconds
        or the server stops."""
        if self.count == count and not self._closed:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(woken)
            try:
                await asyncio.wait([woken], timeout=seconds)
            finally:
                self._waiting.discard(woken)
        return self.count != count and not self._closed

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)
