"""Listening sockets, and how many connections they accept at once."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import pytest

from fakellm.base.errors import ServerError
from fakellm.server.connections.listening import Accepting, listen


def accepted_at_once(listener: Accepting, most: int) -> list[socket.socket]:
    """What asyncio accepts in one turn: as many as it may, until there are no more."""
    found: list[socket.socket] = []
    while len(found) < most:
        try:
            found.append(listener.accept()[0])
        except BlockingIOError:
            break
    return found


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
def test_a_host_that_no_machine_can_have(host: str) -> None:
    with pytest.raises(ServerError, match=f"cannot listen on {host}:0: this is not a valid host name"):
        listen(host, 0)


def test_many_connections_at_once_are_accepted_in_several_turns() -> None:
    with ExitStack() as opened:
        listener = opened.enter_context(listen("127.0.0.1", 0))
        listener.setblocking(False)
        for _ in range(100):
            opened.enter_context(socket.create_connection(listener.getsockname()))
        turns: list[int] = []
        while sum(turns) < 100:
            turns.append(len(connections := accepted_at_once(listener, 1_000)))
            for connection in connections:
                opened.enter_context(connection)
        assert turns == [32, 32, 32, 4]
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_asyncio_accepts_all_of_them() -> None:
    asyncio.run(all_accepted())


async def all_accepted() -> None:
    listener, reached = listen("127.0.0.1", 0), asyncio.Event()
    addresses = set()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        addresses.add(writer.get_extra_info("peername"))
        if len(addresses) == 100:
            reached.set()
        writer.close()

    async with await asyncio.start_server(answer, sock=listener, backlog=1_000):
        with ExitStack() as opened:
            for _ in range(100):
                opened.enter_context(socket.create_connection(listener.getsockname()))
            await asyncio.wait_for(reached.wait(), 10)
