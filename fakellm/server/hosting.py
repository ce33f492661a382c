"""Serves an application in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from fakellm.server.application import Application
from fakellm.server.connections.settings import Connections
from fakellm.server.requests.control_access import ControlAccess

if TYPE_CHECKING:
    from fakellm.server.http_server import Proxy, Server


class Hosted:
    """A context manager in which an application is served in a thread of this process. Entering it raises ServerError
    if the server cannot listen on the port."""

    def __init__(
        self,
        app: Application,
        port: int = 0,
        speed: float = 1.0,
        proxy: Callable[[], Proxy] | None = None,
        access: ControlAccess = ControlAccess(),  # noqa: B008 # it is frozen
        host: str = "127.0.0.1",
        connections: Connections = Connections(),  # noqa: B008 # it is frozen
    ) -> None:
        self._app = app
        self._port = port
        self._speed = speed
        self._proxy = proxy
        self._access = access
        self._host = host
        self._connections = connections

    def __enter__(self) -> Hosted:
        from fakellm.server.connections.listening import listen
        from fakellm.server.http_server import Server

        listener = listen(self._host, self._port)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="fakellm", daemon=True)
        self.thread.start()

        async def start() -> tuple[Server, str]:
            proxy = self._proxy and self._proxy()
            server = Server(self._app, self._speed, proxy, self._access, self._connections)
            return server, await server.start(listener)

        try:
            self.server, url = asyncio.run_coroutine_threadsafe(start(), self.loop).result()
        except BaseException:
            self._end()
            raise
        # On all interfaces, this machine reaches it at the loopback address.
        self.url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        return self

    def change(self, what: Callable[[], None]) -> None:
        """Calls `what`, which may replace sessions, in the server's thread."""

        async def changed() -> None:
            self.server.change(what)

        asyncio.run_coroutine_threadsafe(changed(), self.loop).result()

    def __exit__(self, *_: object) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self.server.stop(grace=0), self.loop).result()
        finally:
            self._end()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
