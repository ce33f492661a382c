"""Starts a server that shares its sessions in Redis, and ends it: Redis first, so that the first request finds all."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

from fakellm.server.connections.settings import Connections
from fakellm.server.http_server import Server
from fakellm.server.redis_state.reading_routes import SharedFeed
from fakellm.server.redis_state.redis_app import RedisApp
from fakellm.server.requests.control_access import ControlAccess
from fakellm.wire.timing import checked_speed

log = logging.getLogger("fakellm")


class RedisServer:
    """A server for `app`: `start`, then `stop`, in one event loop. The others: see `Server`."""

    def __init__(
        self,
        app: RedisApp,
        speed: float = 1.0,
        access: ControlAccess = ControlAccess(),  # noqa: B008 # it is frozen
        connections: Connections = Connections(),  # noqa: B008 # it is frozen
    ) -> None:
        self._server = Server(app, speed, None, access, connections)
        self._server.feed = SharedFeed(app.copies, self._server.feed)
        self._state = app.copies
        self._state.replace = self._server.change
        self._state.pace = self._pace

    async def start(self, listener: socket.socket) -> str:
        """Connects to Redis, then starts to accept connections, and returns the URL. Raises ServerError if Redis cannot
        be reached."""
        await self._state.start()
        return await self._server.start(listener)

    async def stop(self, grace: float) -> None:
        """As that of `Server`."""
        await self._server.stop(grace)
        await self._state.stop()

    def change(self, what: Callable[[], None]) -> None:
        """As that of `Server`."""
        self._server.change(what)

    def _pace(self, speed: Any) -> None:
        """Applies the speed of all servers, unless another program has set one that is not valid."""
        try:
            self._server.pace(checked_speed(float(speed)))
        except (TypeError, ValueError, OverflowError) as error:
            log.error("the speed in Redis is ignored: %s", error)
