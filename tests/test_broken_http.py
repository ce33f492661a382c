"""Requests that are not valid HTTP, with both parsers that aiohttp has: each is refused at once, and shows no secret."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fakellm
from fakellm.testing.handle import Handle
from tests.conftest import chat

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
SECRET = b"a-secret-key"


OLD = tuple(map(int, aiohttp.__version__.split(".")[:2])) < (3, 14)
needs_new = pytest.mark.skipif(OLD, reason="this aiohttp ends the connection without an answer")


class Running:
    """A server in a process of its own, and the file with its log."""

    def __init__(self, handle: Handle, log: Path) -> None:
        self.address = ("127.0.0.1", int(handle.url.rpartition(":")[2]))
        self._log = log

    def talk(self, *parts: bytes) -> bytes:
        """What the server sends until it ends the connection, which the client keeps open."""
        with socket.create_connection(self.address, timeout=30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                connection.sendall(part)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=["C", "Python"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`AIOHTTP_NO_EXTENSIONS` selects the parser in Python, which is the only one where aiohttp has no wheel."""
    if request.param == "Python" and OLD:
        pytest.skip("the parser in Python of this aiohttp accepts part of this, or leaves the connection open")
    log = tmp_path_factory.mktemp("log") / "log"
    stderr, written = os.dup(2), os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIOHTTP_NO_EXTENSIONS", "1" if request.param == "Python" else "")
        os.dup2(written, 2)  # a spawned process writes to the standard error of this one
        running = fakellm.spawn()
        try:
            handle = running.__enter__()
        finally:
            os.dup2(stderr, 2)
    try:
        yield Running(handle, log)
    finally:
        running.__exit__(None, None, None)
        os.close(stderr)
        os.close(written)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


DAMAGED = {
    "a size that is not hexadecimal": b"zz\r\n",
    "a negative size": b"-1\r\n",
    "a size with a prefix": b"0x5\r\nhello\r\n",
    "a size after a space": b" 5\r\nhello\r\n",
    "a size with a null character": b"5\0\r\nhello\r\n",
    "no size": b"\r\n",
    "too much data": b"5\r\nhello!\r\n",
    "no line break after the data": b"5\r\nhello0\r\n\r\n",
    "lines that end in LF": b"5\nhello\n0\n\n",
    "a line break in an extension": b"5;a\nb\r\nhello\r\n",
    "a trailer with a space in its name": b"0\r\na b: c\r\n\r\n",
    "a trailer without a colon": b"0\r\nno colon\r\n\r\n",
    "a trailer that is too long": b"0\r\na: " + b"x" * 20_000 + b"\r\n\r\n",
}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_body_is_refused_at_once(server: Running, name: str, data: st.DataObject) -> None:
    """The client waits for its answer and sends nothing more; the requests before it are answered too."""
    body = chat()
    valid = [HEAD + chunk(body) + b"0\r\n\r\n"] * data.draw(st.integers(0, 2))
    begun = data.draw(st.sampled_from([b"", chunk(body), chunk(body[:9]) + chunk(body[9:])]))
    before = b"".join(valid) + HEAD + begun
    sent = before + DAMAGED[name] + data.draw(st.sampled_from([b"", SECRET, b"\r\n\r\n" * 3]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(before)), max_size=3)))
    reply = server.talk(*(sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)))
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", reply)]
    assert statuses == [200] * len(valid) + [400]
    assert b"Connection: close\r\n" in reply
    assert json.loads(reply.rpartition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_body"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /v1?api-key=" + SECRET + b"\0 HTTP/1.1\r\n\r\n",
        b"GET /v1?api-key=" + SECRET + b" HTTP/9.x\r\n\r\n",
        pytest.param(b"GET http://[" + SECRET + b" HTTP/1.1\r\n\r\n", marks=needs_new),
        b"G@T /v1?api-key=" + SECRET + b" HTTP/1.1\r\n\r\n",
        SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 'b\"" + SECRET + b"\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + SECRET * 2_000 + b"\r\n\r\n",
        b"GET /" + SECRET * 2_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\nA: " + SECRET + b"\r\n\r\n",
        HEAD + b"5;" + SECRET + b"\n\r\n",
        HEAD + SECRET + b"\r\n",
        HEAD + b"0\r\n" + SECRET + b" \r\n\r\n",
    ],
)
def test_what_is_not_http_is_not_repeated(server: Running, request_: bytes) -> None:
    """It may be a line with an API key."""
    reply = server.talk(request_)
    assert re.match(rb"HTTP/1\.[01] 400 ", reply)
    assert SECRET not in reply
    assert SECRET.decode() not in server.log
    assert "Traceback" not in server.log


def test_what_was_wrong_is_named(server: Running) -> None:
    """Without what was sent, the reason must still help."""
    reply = server.talk(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer a\r\n\r\n")
    assert re.search(rb"This is not an HTTP request: Invalid (HTTP )?header", reply)
    reply = server.talk(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 20_000 + b"\r\n\r\n")
    assert re.search(rb"Got more than 8190 bytes", reply)
