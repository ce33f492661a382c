"""The connection to a client: writing to it no faster than it reads, and resetting it on purpose.

Owns the calls to aiohttp and the operating system that this needs. Knows nothing about what is sent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import cast

from aiohttp import web

from fakellm.server.clock import Clock
from fakellm.server.listener import Connection

RESET_PATIENCE = 5.0
"""Seconds that a client has to receive what was written before a reset."""


READING = 0.003
"""Seconds in which a client that waits for bytes has read those that its machine has received."""

_TURNS = 2
"""In the second turn of the event loop, what has arrived by now has been read."""

_ROOM = 64 * 1024
"""Up to this many bytes that a client has not read, `full` is false: asyncio's default."""


class ClientConnection:
    """The connection of a request, with what the request's head decides about the response."""

    __slots__ = ("_protocol", "_waited", "_waiting", "_writer", "head_only", "http_1_0", "keep_alive")

    def __init__(self, request: web.BaseRequest) -> None:
        self._protocol = cast(Connection, request.protocol)
        self._writer = request.writer
        self._waited = self._waiting = False
        self.head_only = request.method == "HEAD"
        self.http_1_0 = request.version < (1, 1)
        self.keep_alive = request.keep_alive and not self.http_1_0
        if (left := self._protocol.requests_left) is not None:
            self._protocol.requests_left = left - 1
            self.keep_alive = self.keep_alive and left > 1

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once the connection is lost."""
        return self._protocol.transport

    @contextmanager
    def waiting(self, for_long: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Within this block, the reply waits for something other than the client: if the client ends its side, it has
        left, and the task is cancelled. If it has done so before, right behind its request, it has left if the reply
        waits `for_long`. What it sent right behind the request is read first: a reply may wait sooner than that.
        """
        self._waiting = True
        self._wait(0 if self._waited or self.half_closed else _TURNS, for_long)
        try:
            yield
        finally:
            self._waiting = self._protocol.waits = False

    def _wait(self, turns: int, for_long: Callable[[], bool]) -> None:
        """Begins to wait after this many turns of the event loop."""
        if turns:
            asyncio.get_running_loop().call_soon(self._wait, turns - 1, for_long)
        elif self._waiting:
            self._waited = self._protocol.waits = True
            transport = self._protocol.transport
            if self.half_closed and transport is not None and for_long():
                transport.close()

    @property
    def half_closed(self) -> bool:
        """Whether the client has ended its side; it may still read."""
        return self._protocol.half_closed

    @property
    def left(self) -> bool:
        """Whether a client that has ended its side has closed the connection: what was written came back refused."""
        transport = self._protocol.transport
        if not self._protocol.half_closed or transport is None:
            return False
        return bool(transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    @property
    def full(self) -> bool:
        """Whether so much that was written has not been read that the sender should wait for `drain`."""
        return self._protocol.writing_paused

    def has_room(self, size: int) -> bool:
        """Whether this many bytes can be written without a wait after them, to a client that is still there."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing() or self._protocol.half_closed:
            return False
        return transport.get_write_buffer_size() + size <= _ROOM

    def write(self, data: bytes | memoryview) -> None:
        """Writes to the client. Raises ConnectionResetError if the client has left."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(data)

    async def drain(self) -> None:
        """Returns when there is room for more."""
        await self._writer.drain()

    async def has_read(self, clock: Clock) -> None:
        """Returns when a client that waits for bytes has read those that were written."""
        await _gone(lambda: self.transport is not None and _unsent(self.transport, acknowledged=False), clock)
        await clock.until(clock.now() + READING)


async def reset(transport: asyncio.Transport, clock: Clock) -> None:
    """Ends the connection with an RST once the client's machine has all that was written, because a reset drops the
    rest. Waits at most RESET_PATIENCE for a client that does not read."""
    await _gone(lambda: _unsent(transport, acknowledged=True), clock, RESET_PATIENCE)
    # A socket that lingers for 0 seconds closes with a reset.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _gone(unsent: Callable[[], int], clock: Clock, patience: float = inf) -> None:
    """Returns when nothing is unsent, or after `patience` seconds."""
    end, wait = clock.now() + patience, 0.001
    while unsent() and clock.now() < end:
        await clock.until(clock.now() + wait)
        wait = min(wait * 2, 0.05)


_NOT_SENT = 0x894B
"""Linux: SIOCOUTQNSD, which Python has no name for."""


def _unsent(transport: asyncio.Transport, acknowledged: bool) -> int:
    """How many bytes asyncio has not sent. On Linux, which counts them, also those that the system has not sent, or
    with `acknowledged`, those that the client's machine has not acknowledged; that may take it 40 ms."""
    queued = transport.get_write_buffer_size()
    if queued or sys.platform != "linux":
        return queued
    import fcntl
    import termios

    sender = transport.get_extra_info("socket")
    if sender.family == socket.AF_UNIX and not acknowledged:
        return 0  # what is sent there has arrived
    try:
        count = fcntl.ioctl(sender.fileno(), termios.TIOCOUTQ if acknowledged else _NOT_SENT, bytes(4))
    except OSError:  # a system such as gVisor has not all that Linux has
        return 0
    return int.from_bytes(count, sys.byteorder)
