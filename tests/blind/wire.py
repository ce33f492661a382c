"""The bytes of one connection, with an end to every wait."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from time import monotonic  # a client waits by the clock; what it is sent does not depend on it

Address = tuple[str, int]


class ClientError(Exception):
    """The response is not a whole answer."""


class Wire:
    """A socket and what has arrived but is not read yet."""

    def __init__(self, address: Address, idle: float) -> None:
        self.address = address
        self.idle = idle
        self.buffer = b""
        self.received = self.kept = False
        self.socket = socket.create_connection(address, timeout=idle)
        self.progressed()

    def progressed(self) -> None:
        """Something of use arrived: the wait starts anew."""
        self.since = monotonic()

    def keep(self) -> None:
        """Begin another request on this connection."""
        self.received, self.kept = bool(self.buffer), True
        self.progressed()

    def more(self) -> bool:
        """Whether more bytes arrived; False at the end of the connection."""
        left = self.idle - (monotonic() - self.since)
        if left <= 0:
            raise ClientError(f"no event for {self.idle:g} s")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            raise ClientError(f"the connection failed: {error!r}") from None
        self.buffer += data
        self.received = self.received or bool(data)
        return bool(data)

    def sendall(self, data: bytes) -> None:
        """Sends bytes."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise ClientError(f"the connection failed: {error!r}") from None

    def line(self) -> str:
        """A line without its end (RFC 9112 2.2)."""
        while b"\n" not in self.buffer:
            if not self.more():
                raise ClientError("the connection was closed within a line")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.removesuffix(b"\r").decode("latin-1")

    def exactly(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, as they arrive."""
        while size:
            if not self.buffer and not self.more():
                raise ClientError(f"the connection was closed {size} bytes early")
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            size -= len(data)
            yield data

    def rest(self) -> Iterator[bytes]:
        """All bytes up to the end of the connection."""
        while self.buffer or self.more():
            data, self.buffer = self.buffer, b""
            yield data

    def stale(self) -> bool:
        """Whether the server closed the connection, or sent something, since the last response."""
        return bool(self.buffer or select.select([self.socket], [], [], 0)[0])

    def close(self) -> None:
        """End the connection."""
        self.socket.close()
