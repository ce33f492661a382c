"""Listening sockets. Owns how many connections may wait, and which of those that were accepted are open."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from fakellm.base.errors import ServerError

BACKLOG = 1024
"""How many connections may wait to be accepted; those of more clients at once would be delayed by a second."""

_AT_ONCE = 32
"""How many connections are accepted before other work gets its turn. asyncio would accept as many as may wait, which
takes 50 ms for a thousand."""

_TURNS = 10
"""Turns of the event loop in which asyncio notices the end of a connection that it has just accepted, also with TLS."""


class Accepting(socket.socket):
    """A listening socket that knows which of the connections it has accepted are open."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._accepted: WeakSet[socket.socket] = WeakSet()
        self._in_turn = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Accepts a connection. Now and then raises BlockingIOError although there is one, which asyncio tries again in
        its next turn."""
        self._in_turn = (self._in_turn + 1) % (_AT_ONCE + 1)
        if not self._in_turn:
            raise BlockingIOError
        try:
            connection, address = super().accept()
        except BlockingIOError:
            self._in_turn = 0
            raise
        self._accepted.add(connection)
        return connection, address

    async def end_all(self) -> None:
        """Ends these connections, in both directions, whatever asyncio has made of them, and lets it notice that."""
        for _ in range(_TURNS):
            for connection in [each for each in self._accepted if each.fileno() >= 0]:
                with suppress(OSError):  # the client has ended it
                    connection.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(0)


def listen(host: str, port: int) -> Accepting:
    """A listening socket, on a free port if `port` is 0.

    Raises ServerError if that fails: the port is in use, or the host is not this machine's.
    """
    if not 0 <= port <= 65535:  # only its last 16 bits would be used
        raise ServerError(f"cannot listen on {host}:{port}: a port is a number from 0 to 65535; 0 takes a free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return Accepting(socket.create_server(address, family=family, backlog=BACKLOG).detach())
    except UnicodeError:  # a part of the name is empty or too long
        raise ServerError(f"cannot listen on {host}:{port}: this is not a valid host name") from None
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ServerError(f"cannot listen on {host}:{port}: {reason}; port 0 takes a free one") from None


def url_of(listener: socket.socket, tls: bool) -> str:
    """The URL of a listening socket, without a path."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


async def accept_no_more(listener: socket.socket) -> None:
    """Lets the connections that asyncio has just accepted begin: once its server is closed, they could not. May be
    called again."""
    if listener.fileno() < 0:
        return
    with suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().remove_reader(listener)
    for _ in range(3):  # to accept, to make the connection, and one more
        await asyncio.sleep(0)
