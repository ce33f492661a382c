"""Changes that all servers confirm. Owns the wait for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

NOT_CONFIRMED = (
    "Redis has the change, but not every server has confirmed it: a server that has lost Redis, or is busy, may answer "
    "as before for a while."
)


class Confirmations:
    """The changes of this server that others are to confirm."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Semaphore] = {}

    async def of(self, number: str, changing: Awaitable[int], seconds: float) -> int:
        """How many servers get the change with this number, after all of them have confirmed it. Raises TimeoutError if
        they have not after so many seconds. `changing`: makes the change, and returns how many get it."""
        confirmed = self._awaited[number] = asyncio.Semaphore(0)
        try:
            servers = await changing
            async with asyncio.timeout(seconds):
                for _ in range(servers):
                    await confirmed.acquire()
        finally:
            del self._awaited[number]
        return servers

    def confirm(self, number: str) -> None:
        """Must be called when a server has confirmed a change."""
        if number in self._awaited:
            self._awaited[number].release()
