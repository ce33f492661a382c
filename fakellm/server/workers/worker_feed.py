"""What happens on a server, sent to a client of a worker: the owner finds it, and the worker writes it."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

from fakellm.engine.response import Watch
from fakellm.server.listener import EndedResponse
from fakellm.server.live.feed import Watcher
from fakellm.server.workers.channel import Channel


class WorkerFeed:
    """The clients of a worker that watch. Implements `Watching`."""

    def __init__(self, owner: Channel) -> None:
        self._owner = owner
        self._numbers = count(1)
        self._clients: dict[int, Watcher] = {}

    async def serve(self, client: Watcher, watch: Watch) -> EndedResponse:
        number = next(self._numbers)
        self._clients[number] = client
        try:
            with suppress(ConnectionError), client.waiting():  # the owner is gone, and this worker is about to end
                await self._owner.call("watch", number, watch, client.head_only)
        finally:
            del self._clients[number]
        return EndedResponse(keep_alive=False)

    async def watched(self, number: int, data: bytes) -> None:
        """Writes to one of the clients, and returns when there is room for more. Raises ConnectionError if it has
        left."""
        client = self._clients.get(number)
        if client is None:
            raise ConnectionResetError
        client.write(data)
        await client.drain()

    def close(self) -> None:
        """The owner ends what it sends."""
