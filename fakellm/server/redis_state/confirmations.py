"""Messages to all servers that each of them confirms. Owns their numbers, and the wait for all servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count


class Confirmations:
    """The messages of this server that others are to confirm. `server`: its number, which no other has."""

    def __init__(self) -> None:
        self.server = ""
        self._numbers = count(1)
        self._awaited: dict[str, asyncio.Semaphore] = {}

    async def of(self, send: Callable[[str], Awaitable[int]], seconds: float) -> int:
        """What `send` returns, how many servers get the message with this number, after all of them have confirmed it.
        Raises TimeoutError if they have not after so many seconds."""
        number = f"{self.server}:{next(self._numbers)}"
        confirmed = self._awaited[number] = asyncio.Semaphore(0)
        try:
            servers = await send(number)
            async with asyncio.timeout(seconds):
                for _ in range(servers):
                    await confirmed.acquire()
        finally:
            del self._awaited[number]
        return servers

    def confirm(self, number: str) -> None:
        """Must be called when a server has confirmed a message."""
        if number in self._awaited:
            self._awaited[number].release()
