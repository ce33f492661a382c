"""What a connection costs the server in memory while its reply is under way, and that it does not keep the request."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from fakellm.engine.state import Limits
from fakellm.scenarios.loader import load
from fakellm.server.connections.listening import listen
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App
from fakellm.server.sending.pacer import PIECE
from tests.conftest import chat

PACED = {"reply": {"content": "One two"}, "timing": {"gap": 3600}}
STALLED = {"reply": {"content": "One two"}, "fault": {"kind": "stall", "frame": 1}}


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def begun(stack: ExitStack, port: int, body: bytes, requests: int = 1, shut: bool = False) -> socket.socket:
    """A connection on which so many requests were sent and the beginning of the first reply has been read. `shut`: the
    client ends its side right behind them."""
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nAccept: application/json\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    loop = asyncio.get_running_loop()
    client = stack.enter_context(socket.socket())
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, request * requests)
    if shut:
        client.shutdown(socket.SHUT_WR)
    received = b""
    while b"\n\n" not in received:
        received += await loop.sock_recv(client, 65536)
    return client


def growth(rule: dict[str, Any], body: bytes, connections: int, limits: Limits) -> float:
    """The bytes that Python has allocated for each of these connections while their replies are under way."""

    async def everything() -> float:
        server = Server(App(load({"rules": [rule]}), limits=limits))
        port = int((await server.start(listen("127.0.0.1", 0))).rpartition(":")[2])
        with ExitStack() as stack:
            await begun(stack, port, body)
            with traced():
                for _ in range(connections):
                    await begun(stack, port, body)
                gc.collect()
                now = tracemalloc.get_traced_memory()[0]
            await server.stop(grace=0)
        return now / connections

    return asyncio.run(everything())


@pytest.mark.parametrize(("rule", "most"), [(PACED, 24), (STALLED, 16)])
def test_a_reply_under_way_takes_little_memory(rule: dict[str, Any], most: int) -> None:
    assert growth(rule, chat(stream=True), 100, Limits()) < most * 1024


@pytest.mark.parametrize("rule", [PACED, STALLED | {"fault": {"kind": "stall", "frame": 300}}])
def test_a_reply_under_way_holds_neither_what_was_written_nor_what_is_not_due(rule: dict[str, Any]) -> None:
    """Its frames have 90 kB."""
    rule = rule | {"reply": {"content": "word " * 400}}
    assert growth(rule, chat(stream=True), 20, Limits(cache_bytes=2**16)) < 24 * 1024


def test_a_client_that_does_not_read_takes_little_memory_whatever_its_reply() -> None:
    long = {"reply": {"content": "x" * 4_000_000}, "stream": {"split": "whole"}}
    assert growth(long, chat(stream=True), 20, Limits()) < 3 * PIECE
    paced = long | {"timing": {"first": 0.001}}
    assert growth(paced, chat(stream=True), 20, Limits()) < 3 * PIECE


@pytest.mark.parametrize("rule", [PACED, STALLED])
def test_a_reply_under_way_does_not_keep_the_body_of_its_request(rule: dict[str, Any]) -> None:
    body = chat(stream=True, messages=[{"role": "user", "content": "word " * 100_000}])
    most = len(body) / 4  # the journal keeps only the last of them
    assert growth(rule, body, 20, Limits(journal_bytes=0)) < most


def garbage_of(
    rule: dict[str, Any], requests: int, leave: Callable[[socket.socket], None], shut: bool = False
) -> list[object]:
    """What the garbage collector finds after a client has sent so many requests, received the beginning of the first
    reply and left in this way."""

    async def everything() -> list[object]:
        server = Server(App(load({"rules": [rule]})))
        port = int((await server.start(listen("127.0.0.1", 0))).rpartition(":")[2])
        with ExitStack() as stack:
            client = await begun(stack, port, chat(stream=True), requests, shut)
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            leave(client)
        for _ in range(100_000):
            await asyncio.sleep(0)
            if not server._listener.connections:
                break
        await asyncio.sleep(0)  # the transport refers to its connection until then
        gc.collect()
        gc.set_debug(0)
        found, gc.garbage[:] = list(gc.garbage), []
        await server.stop(grace=0)
        return found

    return asyncio.run(everything())


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
@pytest.mark.parametrize("requests", [1, 3])
@pytest.mark.parametrize("rule", [{"reply": {"content": "One two"}}, PACED, STALLED])
def test_a_client_that_leaves_early_makes_no_garbage_that_must_be_looked_for(
    rule: dict[str, Any], requests: int, leave: Callable[[socket.socket], None]
) -> None:
    """Of asyncio's own there is a little: a transport refers to a method of its own."""
    modules = {type(each).__module__.partition(".")[0] for each in garbage_of(rule, requests, leave)}
    assert not modules & {"fakellm", "aiohttp"}


def test_a_half_closed_client_that_has_left_makes_no_such_garbage() -> None:
    """The error that ends its reply is raised while a frame is written."""
    soon_and_late = {"reply": {"content": "One two"}, "timing": {"gaps": [0, 0.001, 0.001, 3600]}}
    modules = {
        type(each).__module__.partition(".")[0] for each in garbage_of(soon_and_late, 1, socket.socket.close, shut=True)
    }
    assert not modules & {"fakellm", "aiohttp"}
