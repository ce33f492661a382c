"""How a TCP connection is reset on purpose. Owns what the operating system must be told for it; knows no HTTP."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

from fakellm.clock import Clock


async def reset(transport: asyncio.Transport, clock: Clock) -> None:
    """Ends the connection with an RST, once the client's machine has all that was written: a reset drops the rest."""
    while _unsent(transport):
        await clock.until(clock.now() + 0.001)
    # A socket that lingers for 0 seconds closes with a reset.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that wait here, and on Linux, which tells, those that the client's machine has not acknowledged."""
    queued = transport.get_write_buffer_size()
    if queued or sys.platform != "linux":
        return queued
    import fcntl
    import termios

    connection = transport.get_extra_info("socket").fileno()
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
