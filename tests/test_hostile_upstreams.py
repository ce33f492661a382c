"""Whatever a server behind the recorder sends, its client gets an end, and the recorder goes on."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fakellm
from fakellm.recordings.formats import fakellm_jsonl
from fakellm.testing.handle import Handle

KEY = "sk-0123456789-abcdefgh"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
ENDED = b"HTTP/1.1 200 OK\r\n\r\n"
HEADS = (CHUNKED, SIZED, ENDED)
BEGUN = (b"", b"4\r\nabcd\r\n", b"5\r\ndata:")
PARTS = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\0", b"0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"5\r\nhello\r\n", b"ffffffffffffffffff\r\n"),
        *(b"0\r\nno colon\r\n\r\n", b"data: {}\n\n", b"x" * 9_000, b"HTTP/1.1 200 OK\r\n\r\n", b"Set-Cookie: a=b\r\n"),
        *(b"5;ext\r\nhello\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"\x1f\x8b\x08", f"key={KEY}".encode()),
    ]
) | st.binary(max_size=8)


class Upstream:
    """A server whose next response is `first`, then, once the client has that, `rest`; then it closes or resets."""

    def __init__(self, listener: socket.socket) -> None:
        self.first = self.rest = b""
        self.reset = False
        self.passed = threading.Event()
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(self.first)
                    self.passed.wait(30)
                    connection.sendall(self.rest)
                    if self.reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def recorded(file: Path) -> Iterator[tuple[Upstream, Handle]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream = Upstream(listener)
        with fakellm.record(f"http://127.0.0.1:{listener.getsockname()[1]}", file) as recorder:
            yield upstream, recorder
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Upstream, Handle, Path]]:
    file = tmp_path_factory.mktemp("recorder") / "recorded.jsonl"
    with recorded(file) as (upstream, handle):
        yield upstream, handle, file


def asked(recorder: Handle, upstream: Upstream) -> bytes:
    """What a client gets, until the end of its connection; the upstream goes on when the first of it is there."""
    host, _, port = recorder.url.removeprefix("http://").partition(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(
            f"GET /v1/models?key={KEY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: {KEY}\r\n\r\n".encode()
        )
        with suppress(ConnectionResetError):
            while data := client.recv(65536):
                got += data
                upstream.passed.set()
    return got


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(HEADS), st.sampled_from(BEGUN), st.lists(PARTS, max_size=4), st.booleans())
@example(CHUNKED, b"5\r\ndata:", [b"Set-Cookie: a=b\r\n"], False)
@example(CHUNKED, b"", [b"zz\r\n"], True)
def test_a_response_that_goes_wrong_has_an_end(
    recorder: tuple[Upstream, Handle, Path],
    caplog: pytest.LogCaptureFixture,
    head: bytes,
    begun: bytes,
    parts: list[bytes],
    reset: bool,
) -> None:
    upstream, handle, file = recorder
    upstream.first, upstream.rest, upstream.reset = head + begun, b"".join(parts), reset
    upstream.passed.clear()
    got = asked(handle, upstream)
    assert got.startswith(b"HTTP/1.1 ")
    assert handle.health()["status"] == "ok"
    assert "Traceback" not in caplog.text
    assert KEY not in caplog.text
    assert KEY.encode() not in file.read_bytes()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PARTS | st.sampled_from([CHUNKED, SIZED[:40], ENDED[:12]]), max_size=5), st.booleans())
def test_what_is_no_response_is_refused(
    recorder: tuple[Upstream, Handle, Path], caplog: pytest.LogCaptureFixture, parts: list[bytes], reset: bool
) -> None:
    upstream, handle, _ = recorder
    upstream.first, upstream.rest, upstream.reset = b"".join(parts), b"", reset
    upstream.passed.set()
    asked(handle, upstream)
    assert handle.health()["status"] == "ok"
    assert "Traceback" not in caplog.text
    assert KEY not in caplog.text


def test_what_was_recorded_of_all_this_can_be_read(recorder: tuple[Upstream, Handle, Path]) -> None:
    file = recorder[2]
    assert fakellm_jsonl.load(file.read_bytes(), str(file)).interactions
