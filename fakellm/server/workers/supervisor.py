"""Starts the workers of a server, starts another one when one ends, and ends them. Knows nothing about what they
answer.

All of them inherit one listening socket. If each had its own for the same port, a connection in the queue of one that
is killed would be lost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from fakellm.base.errors import ServerError
from fakellm.server.connections.listening import url_of
from fakellm.server.processes.workers import WORKERS
from fakellm.server.requests.log import quieten
from fakellm.server.workers.owner import Owner

KILL_SECONDS = 2.0
"""How long after the grace period a worker that has not ended is killed."""
RETRY_SECONDS = 1.0
"""How long after a worker has ended the next one is started, unless it ran longer than that."""

log = logging.getLogger("fakellm")


class Supervisor:
    """A server of several workers: `start`, then `stop`, in one event loop. `command`: starts a worker, if the
    descriptors of the listening socket and of its channel are appended."""

    def __init__(self, owner: Owner, workers: int, command: Sequence[str]) -> None:
        self._owner = owner
        self._workers = workers
        self._command = command
        self._running: set[asyncio.subprocess.Process] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self, listener: socket.socket) -> str:
        """Starts the workers, and returns the URL when all accept connections. Raises ServerError if one ends
        instead."""
        loop = asyncio.get_running_loop()
        WORKERS.opened()
        quieten(loop)
        self._owner.settings.access.warn_if_open(listener)
        ready = [loop.create_future() for _ in range(self._workers)]
        self._tasks = [asyncio.create_task(self._keep_one(listener, each)) for each in ready]
        try:
            await asyncio.gather(*ready)
        except ServerError:
            await self.stop(0)
            raise
        return url_of(listener, self._owner.settings.connections.certificate is not None)

    async def stop(self, grace: float) -> None:
        """Has the workers accept no more connections, and end when their open replies have ended, or after `grace`
        seconds."""
        self._stopping = True
        self._owner.server.end_waits()
        for link in self._owner.links:
            link.channel.notify("stop", grace)
        await asyncio.wait(self._tasks, timeout=grace + KILL_SECONDS)
        for process in self._running:
            with suppress(ProcessLookupError):
                process.kill()
        await asyncio.wait(self._tasks)
        await self._owner.server.stop(0)

    def change(self, what: Callable[[], None]) -> None:
        """Calls `what`, which may replace sessions, and releases the frames in these that wait for a step."""
        self._owner.server.change(what)

    async def _keep_one(self, listener: socket.socket, first: asyncio.Future[None]) -> None:
        """Runs a worker, and another one whenever it ends, until the server stops. `first`: done when the first accepts
        connections."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            ready: asyncio.Future[None] = loop.create_future()
            ready.add_done_callback(partial(_accepts, first))
            began = loop.time()
            try:
                ended = await self._run_one(listener, ready)
            except OSError as error:  # too many open files or processes, or no memory
                ended = f"could not be started: {error}"
            if self._stopping:
                return
            if not first.done():
                first.set_exception(ServerError(f"a worker {ended}"))
                return
            log.error("a worker %s; another one is started", ended)
            if not ready.done() or loop.time() - began < RETRY_SECONDS:
                await asyncio.sleep(RETRY_SECONDS)

    async def _run_one(self, listener: socket.socket, ready: asyncio.Future[None]) -> str:
        """Runs a worker, and returns how it ended. Raises OSError if it cannot be started."""
        process, ours = await self._started(listener)
        link = self._owner.join(ready)
        self._running.add(process)
        await asyncio.get_running_loop().create_unix_connection(lambda: link.channel, sock=ours)
        link.channel.notify("settings", self._owner.settings)
        if self._stopping:
            link.channel.notify("stop", 0.0)
        code = await process.wait()
        self._running.discard(process)
        await link.channel.ended.wait()
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return ended if ready.done() else f"{ended} before it accepted connections"

    async def _started(self, listener: socket.socket) -> tuple[asyncio.subprocess.Process, socket.socket]:
        """A worker, and the owner's end of the channel to it. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as failed:
            failed.enter_context(ours)
            descriptors = listener.fileno(), theirs.fileno()
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *map(str, descriptors),
                pass_fds=descriptors,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
            )
            failed.pop_all()
        return process, ours


def _accepts(first: asyncio.Future[None], _ready: asyncio.Future[None]) -> None:
    if not first.done():
        first.set_result(None)
