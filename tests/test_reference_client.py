"""The reference client reads every response that RFC 9112 allows, and reports every one that is damaged or cut short."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from fakellm.base.errors import StreamError
from fakellm.fuzzing.reference_client import ReferenceClient

CHUNK = {"id": "c", "created": 9, "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
LAST = {"id": "c", "created": 9, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
STREAM = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in (CHUNK, LAST)) + b"data: [DONE]\n\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


WHOLE = chunked(STREAM) + b"0\r\n\r\n"


@contextmanager
def responding(*connections: tuple[bytes, ...]) -> Iterator[str]:
    """The base URL of a server that accepts these connections one after the other. On each it answers the requests
    with these bytes, then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for responses in connections:
            connection, _ = listener.accept()
            with connection:
                for response in responses:
                    read_request(connection)
                    connection.sendall(response)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # a close with unread bytes would be a reset
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join(10)


def read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < int(length.partition(b":")[2]):
        body += connection.recv(65536)


def content(response: bytes, **request: Any) -> str | None:
    with responding((response,)) as base_url, closing(ReferenceClient(idle=5.0)) as client:
        return str(client(base_url, {"model": "m", **request}).content)


@pytest.mark.parametrize(
    "response",
    [
        CHUNKED + WHOLE,
        CHUNKED + chunked(*(STREAM[at : at + 7] for at in range(0, len(STREAM), 7))) + b"0\r\n\r\n",
        CHUNKED + b"%x;name=value\r\n%s\r\n0\r\n\r\n" % (len(STREAM), STREAM),
        CHUNKED + chunked(STREAM) + b"0\r\nX-Trailer: a\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + CHUNKED + WHOLE,
        OK + b"Content-Length: %d\r\n\r\n" % len(STREAM) + STREAM,
        OK + b"\r\n" + STREAM,
        b"HTTP/1.0 200 OK\r\n\r\n" + STREAM,
        OK + b"Content-Encoding: GZIP\r\n\r\n" + gzip.compress(STREAM),
        OK + b"\r\n" + STREAM.replace(b'{"id"', b'{"error": null, "id"'),
    ],
)  # fmt: skip
def test_it_reads_what_the_standards_allow(response: bytes) -> None:
    assert content(response) == "Hi"


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200",
        OK,
        b"SMTP 200 OK\r\n\r\n" + STREAM,
        b"HTTP/1.1 twohundred OK\r\n\r\n" + STREAM,
        OK + b"A header\r\n\r\n" + STREAM,
        OK + b"X-A: a\rb\r\n\r\n" + STREAM,
        OK + b"Content-Length: 7\r\nContent-Length: 8\r\n\r\n" + STREAM,
        OK + b"Content-Length: %d\r\n\r\n" % (len(STREAM) + 1) + STREAM,
        OK + b"Transfer-Encoding: br, chunked\r\n\r\n" + WHOLE,
        CHUNKED + chunked(STREAM),
        CHUNKED + b"xyz\r\n" + STREAM,
        CHUNKED + b"-1\r\n\r\n" + WHOLE,
        CHUNKED + b"%x\r\n%s" % (len(STREAM) - 1, STREAM) + b"\r\n0\r\n\r\n",
        CHUNKED + chunked(STREAM) + b"0\r\nno trailer\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\n\r\n" + STREAM,
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(STREAM)[:-1],
        OK + b"Content-Encoding: br\r\n\r\n" + STREAM,
        b"HTTP/1.1 500 Oops\r\n\r\n" + STREAM,
        OK + b"\r\n" + STREAM.removesuffix(b"data: [DONE]\n\n")[:-1],
        OK + b"\r\n" + STREAM.replace(b'{"id"', b'{"error": {"message": "no"}, "id"'),
    ],
)  # fmt: skip
def test_it_reports_what_is_damaged_or_cut_short(response: bytes) -> None:
    with pytest.raises(StreamError):
        content(response)


def test_a_missing_choice_is_reported() -> None:
    with pytest.raises(StreamError, match="1 of 2 choices"):
        content(OK + b"\r\n" + STREAM, n=2)


def test_a_connection_is_kept_and_replaced_when_the_server_has_closed_it() -> None:
    connections = responding((CHUNKED + WHOLE, CHUNKED + WHOLE), (CHUNKED + WHOLE,))
    with connections as base_url, closing(ReferenceClient(idle=5.0)) as client:
        assert [client(base_url, {}).content for _ in range(3)] == ["Hi"] * 3


@pytest.mark.parametrize("cut", [b"H", OK, CHUNKED + b"5\r\nda"])
def test_a_request_is_not_sent_again_once_a_byte_of_the_response_has_arrived(cut: bytes) -> None:
    with responding((CHUNKED + WHOLE, cut)) as base_url, closing(ReferenceClient(idle=5.0)) as client:
        client(base_url, {})
        with pytest.raises(StreamError):
            client(base_url, {})


def test_a_connection_with_bytes_after_the_response_is_not_kept() -> None:
    connections = responding((CHUNKED + WHOLE + b"more",), (CHUNKED + WHOLE,))
    with connections as base_url, closing(ReferenceClient(idle=5.0)) as client:
        assert [client(base_url, {}).content for _ in range(2)] == ["Hi", "Hi"]
