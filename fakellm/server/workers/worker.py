"""Runs a worker: a server whose state is at the other end of a channel, until it has to stop or the owner is gone.

Owns that a worker accepts one connection at a time, so that the others get theirs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from fakellm.server.http_server import Server
from fakellm.server.workers.channel import Channel, Handler, first_message
from fakellm.server.workers.reports import Reports
from fakellm.server.workers.worker_app import WorkerApp, WorkerSettings
from fakellm.server.workers.worker_feed import WorkerFeed
from fakellm.server.workers.worker_steps import WorkerSteps


class OneAtATime(socket.socket):
    """A listening socket from which a turn of the event loop accepts one connection. asyncio accepts all that wait, and
    this worker would have to serve them all while others have nothing to do."""

    _accepted = False

    def accept(self) -> tuple[socket.socket, Any]:
        if self._accepted:
            self._accepted = False
            raise BlockingIOError
        found = super().accept()
        self._accepted = True
        return found


class ServingWorker:
    """A worker, whose `run` returns when it has stopped. `ending`: called with the seconds of grace when it begins."""

    def __init__(self, end: socket.socket, ending: Callable[[float], None]) -> None:
        self._end = end
        self._settings: WorkerSettings = first_message(end)
        self.grace = self._settings.grace
        self._ending = ending
        self._handlers: dict[str, Handler] = {"stop": self.stop}
        self._owner = Channel(self._handlers, lambda: self.stop(0.0))
        self._reports = Reports(self._owner, self._settings.limits.journal_bytes)
        self._stopped: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def stop(self, grace: float) -> None:
        """Ends it; streams under way have so many seconds."""
        if not self._stopped.done():
            self._ending(grace)
            self._stopped.set_result(grace)

    async def run(self, listener: socket.socket, beside: Coroutine[Any, Any, None]) -> None:
        """Serves until it is stopped. `beside` runs meanwhile."""
        steps = WorkerSteps(self._owner)
        feed = WorkerFeed(self._owner)
        app = WorkerApp(self._owner, self._reports, self._settings)
        settings = self._settings
        server = Server(app, settings.speed, None, settings.access, settings.connections, steps=steps, feed=feed)

        async def flush(progress: int, replies: bool) -> None:
            await self._reports.send(progress, replies)
            self._owner.notify("counted", app.counted())

        self._handlers |= {"flush": flush, "forget": app.forget, "released": steps.released}
        self._handlers |= {"watched": feed.watched, "speed": server.pace}
        await asyncio.get_running_loop().create_unix_connection(lambda: self._owner, sock=self._end)
        self._owner.notify("joined")
        await server.accept(listener)
        self._owner.notify("ready")
        task = asyncio.ensure_future(beside)
        grace = await self._stopped
        task.cancel()
        await server.stop(grace)
        await self._reports.send(progress=0, replies=False)
        await self._owner.close()
