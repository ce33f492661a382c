"""Faults over real sockets, watched from outside: what arrives, how and when the connection ends, and what SDKs say."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

import openai
import pytest

import fakellm
from fakellm.server import connection
from fakellm.testing.handle import Handle
from tests.conftest import chat, post

REPLY = {"content": "One two three", "id": "i", "created": 9, "system_fingerprint": None}
End = Literal["FIN", "RST", "open"]


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as running:
        yield running


@pytest.fixture
def session(server: Handle, request: pytest.FixtureRequest) -> Handle:
    return server.session(request.node.name)


def broken(session: Handle, **fault: Any) -> Handle:
    """The session with one rule that has this fault; one without a kind has none."""
    session.load({"rules": [{"reply": REPLY, **({"fault": fault} if "kind" in fault else {})}]})
    return session


class Wire:
    """A TCP connection to a session that shows what arrives and how it ends."""

    def __init__(self, session: Handle) -> None:
        address, slash, self._path = session.url.removeprefix("http://").partition("/")
        host, port = address.split(":")
        self._path = slash + self._path
        self.socket = socket.create_connection((host, int(port)), timeout=10)

    def send(self, body: bytes, *lines: str) -> None:
        first = f"POST {self._path}/v1/chat/completions HTTP/1.1"
        head = [first, "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
        self.socket.sendall("\r\n".join(head).encode() + body)

    def read(self, ending: bytes) -> bytes:
        """What arrives up to these bytes."""
        data = b""
        while not data.endswith(ending):
            piece = self.socket.recv(1)
            assert piece, data
            data += piece
        return data

    def rest(self) -> tuple[bytes, End]:
        """All that still arrives, and how the connection ends."""
        data = b""
        while True:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                return data, "RST"
            if not piece:
                return data, "FIN"
            data += piece


@contextmanager
def wire(session: Handle) -> Iterator[Wire]:
    connection = Wire(session)
    try:
        yield connection
    finally:
        connection.socket.close()


def chunks(data: bytes) -> tuple[list[bytes], bytes]:
    """The HTTP chunks in a body, and what is left when no more of them is whole; the terminator is an empty chunk."""
    found, start = [], 0
    while (line := data.find(b"\r\n", start)) >= 0 and line + 4 + (size := int(data[start:line], 16)) <= len(data):
        found.append(data[line + 2 : line + 2 + size])
        start = line + 4 + size
    return found, data[start:]


def exchange(session: Handle, body: bytes) -> tuple[bytes, bytes, End]:
    """The head, the body and the end of one reply, whose connection does end."""
    with wire(session) as connection:
        connection.send(body)
        data, end = connection.rest()
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest, end


def plain_frames(session: Handle) -> list[bytes]:
    broken(session)
    with wire(session) as connection:
        connection.send(chat(stream=True), "Connection: close")
        return chunks(connection.rest()[0].partition(b"\r\n\r\n")[2])[0][:-1]


ENDS = [("close", "FIN", "closed"), ("reset", "RST", "reset")]


@pytest.mark.parametrize(("kind", "end", "outcome"), ENDS)
@pytest.mark.parametrize("stream", [True, False])
def test_before_the_headers(session: Handle, kind: str, end: End, outcome: str, stream: bool) -> None:
    assert exchange(broken(session, kind=kind, at="start"), chat(stream=stream)) == (b"", b"", end)
    entry = session.journal[0]
    assert (entry.outcome, entry.fault, entry.status, entry.frames_sent) == (outcome, kind, None, 0)


@pytest.mark.parametrize(("kind", "end", "outcome"), ENDS)
@pytest.mark.parametrize("stream", [True, False])
def test_after_the_headers(session: Handle, kind: str, end: End, outcome: str, stream: bool) -> None:
    head, body, got = exchange(broken(session, kind=kind, at="headers"), chat(stream=stream))
    assert (body, got) == (b"", end)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" not in head
    assert (b"Transfer-Encoding: chunked" in head) == stream
    assert (b"Content-Length: " in head) == (not stream)
    assert (session.journal[0].outcome, session.journal[0].status) == (outcome, 200)


@pytest.mark.parametrize(("kind", "end", "outcome"), ENDS)
@pytest.mark.parametrize("frame", [1, 3, -1, 99])
def test_after_a_frame(session: Handle, kind: str, end: End, outcome: str, frame: int) -> None:
    frames = plain_frames(session)
    _, body, got = exchange(broken(session, kind=kind, frame=frame), chat(stream=True))
    assert (chunks(body), got) == ((frames[:frame] if frame < 99 else frames, b""), end)  # and no terminator
    entry = session.journal[0]
    assert (entry.outcome, entry.frames_sent) == (outcome, len(chunks(body)[0]))


@pytest.mark.parametrize(("kind", "end"), [("close", "FIN"), ("reset", "RST")])
def test_after_a_byte(session: Handle, kind: str, end: End) -> None:
    frames = plain_frames(session)
    _, body, got = exchange(broken(session, kind=kind, byte=len(frames[0]) + 10), chat(stream=True))
    assert (chunks(body), got) == (([frames[0], frames[1][:10]], b""), end)


def test_a_whole_body_is_shorter_than_its_content_length(session: Handle) -> None:
    faults: list[dict[str, Any]] = [{"kind": "close", "byte": -5}, {"kind": "content_length", "more": 5}]
    for fault in faults:
        head, body, end = exchange(broken(session, **fault), chat())
        said = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
        assert (int(said[16:]) - len(body), end) == (5, "FIN")


def test_a_clean_end_too_early_keeps_the_connection(session: Handle) -> None:
    frames = plain_frames(session)
    broken(session, kind="eof", frame=2, times=1)
    with wire(session) as connection:
        connection.send(chat(stream=True))
        connection.read(b"\r\n\r\n")
        assert chunks(connection.read(b"\r\n0\r\n\r\n"))[0] == [*frames[:2], b""]
        connection.send(chat(stream=True))
        connection.read(b"\r\n\r\n")
        assert chunks(connection.read(b"\r\n0\r\n\r\n"))[0] == [*frames, b""]
    assert [(entry.outcome, entry.fault) for entry in session.journal] == [("sent", "eof"), ("sent", None)]


def test_a_connection_that_was_to_be_kept_is_closed_after_the_reply(session: Handle) -> None:
    frames = plain_frames(session)
    head, body, end = exchange(broken(session, kind="hang_up"), chat(stream=True))
    assert (chunks(body)[0], end) == ([*frames, b""], "FIN")
    assert b"connection" not in head.lower()
    assert session.journal[0].outcome == "sent"


def test_surplus_bytes_come_before_the_next_response(session: Handle) -> None:
    frames = plain_frames(session)
    broken(session, kind="surplus", text="HTTP/1.1 200 OK", times=1)
    with wire(session) as connection:
        connection.send(chat(stream=True))
        connection.read(b"\r\n\r\n")
        assert chunks(connection.read(b"0\r\n\r\nHTTP/1.1 200 OK"))[0] == [*frames, b""]
        connection.send(chat(stream=True))
        assert connection.read(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_idle_connection_is_closed_under_the_next_request(session: Handle) -> None:
    broken(session, kind="close", at="start", after=1, times=1)
    with wire(session) as connection:
        connection.send(chat(stream=True))
        connection.read(b"\r\n0\r\n\r\n")
        connection.send(chat(stream=True))
        assert connection.rest() == (b"", "FIN")
    assert post(session.base_url + "/chat/completions", chat(stream=True)).text.endswith("data: [DONE]\n\n")
    assert [entry.outcome for entry in session.journal] == ["sent", "closed", "sent"]


def outcome(session: Handle, wanted: str) -> str:
    """The outcome of the first request, as soon as it is the one wanted."""
    end = time.monotonic() + 10
    while (found := session.journal[0].outcome) != wanted and time.monotonic() < end:
        pass
    return found


@pytest.mark.parametrize("fault", [{"at": "start"}, {"at": "headers"}, {"frame": 2}])
def test_a_stall_lasts_until_the_client_leaves(session: Handle, fault: dict[str, Any]) -> None:
    frames = plain_frames(session)
    broken(session, kind="stall", **fault)
    with wire(session) as connection:
        connection.send(chat(stream=True))
        if fault != {"at": "start"}:
            connection.read(b"\r\n\r\n")
        if "frame" in fault:
            connection.read(frames[1] + b"\r\n")
        assert outcome(session, "stalled") == "stalled"
        connection.socket.settimeout(0.01)
        with pytest.raises(TimeoutError):
            connection.socket.recv(1)
    assert outcome(session, "client left") == "client left"


@pytest.mark.parametrize("fault", [{"kind": "stall"}, {"kind": "drip", "every": 0.01}])
def test_a_stall_ends_when_the_server_stops(fault: dict[str, Any]) -> None:
    with fakellm.serve({"rules": [{"reply": REPLY, "fault": fault | {"frame": 1}}]}) as server:
        connection = Wire(server)
        connection.send(chat(stream=True))
        connection.read(b"\r\n\r\n")
        connection.read(b"\n\n\r\n")
    assert connection.rest()[1] == "FIN"
    connection.socket.close()


def test_a_stall_does_not_use_up_the_grace_that_open_replies_have() -> None:
    with fakellm.spawn({"rules": [{"reply": REPLY, "fault": {"kind": "stall", "frame": 1}}]}) as server:
        connection = Wire(server)
        connection.send(chat(stream=True))
        connection.read(b"\n\n\r\n")
        began = time.monotonic()
    assert time.monotonic() - began < 5  # the grace
    connection.socket.close()


def test_a_drip_is_comments_and_no_progress(session: Handle) -> None:
    frames = plain_frames(session)
    broken(session, kind="drip", frame=2, every=0.01)
    with wire(session) as connection:
        connection.send(chat(stream=True))
        connection.read(b"\r\n\r\n")
        connection.read(frames[1] + b"\r\n")
        assert connection.read(b"ping\n\n\r\n8\r\n: ping\n\n\r\n") == b"8\r\n: ping\n\n\r\n" * 2
        assert session.journal[0].outcome == "stalled"
    assert outcome(session, "client left") == "client left"
    assert session.journal[0].frames_sent == 2


def test_a_delay_before_the_headers(session: Handle) -> None:
    broken(session, kind="slow", seconds=0.05)
    with wire(session) as connection:
        began = time.monotonic()
        connection.send(chat(stream=True))
        assert connection.read(b"H") == b"H"
        assert time.monotonic() - began >= 0.05


def test_a_long_stream_arrives_in_full_before_the_reset(session: Handle) -> None:
    session.load({"rules": [{"reply": {"content": "word " * 10_000}, "fault": {"kind": "reset", "frame": -1}}]})
    _, body, end = exchange(session, chat(stream=True))
    assert (len(chunks(body)[0]), end) == (session.journal[0].frames, "RST")


def test_an_unusual_status_and_a_header_as_it_is_written(session: Handle) -> None:
    broken(session, kind="status", status=529, retry_after=-1, headers={"retry-after-ms": "abc"})
    reply = post(session.base_url + "/chat/completions", chat())
    assert (reply.status_code, reply.headers["retry-after"], reply.headers["retry-after-ms"]) == (529, "-1", "abc")
    assert reply.json()["error"]["type"] == "overloaded_error"


def test_concurrent_requests_do_not_use_up_each_others_attempts(session: Handle) -> None:
    broken(session, kind="status", status=503, times=2)

    def statuses(user: int) -> list[int]:
        body = chat(user=str(user))
        return [post(session.base_url + "/chat/completions", body).status_code for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(statuses, range(8))) == [[503, 503, 200, 200]] * 8


# What openai's own client makes of them


@pytest.fixture
def client(session: Handle) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=session.base_url, api_key="x", max_retries=2, timeout=10) as made:
        yield made


def say(client: openai.OpenAI, stream: bool = False) -> str | None:
    """What the client makes of the reply to one message."""
    asked: list[Any] = [{"role": "user", "content": "Hi"}]
    if stream:
        parts = client.chat.completions.create(model="m", messages=asked, stream=True)
        return "".join(part.choices[0].delta.content or "" for part in parts)
    return client.chat.completions.create(model="m", messages=asked).choices[0].message.content


def outcomes(session: Handle) -> list[tuple[str | None, str]]:
    return [(entry.fault, entry.outcome) for entry in session.journal]


@pytest.mark.parametrize("stream", [True, False])
def test_two_rate_limits_and_then_the_answer(session: Handle, client: openai.OpenAI, stream: bool) -> None:
    broken(session, kind="status", status=429, times=2, headers={"retry-after-ms": "1"})
    assert say(client, stream) == "One two three"
    assert outcomes(session) == [("status", "sent"), ("status", "sent"), (None, "sent")]


def test_a_rate_limit_that_stays_is_raised_as_one(session: Handle, client: openai.OpenAI) -> None:
    broken(session, kind="status", status=429, headers={"retry-after-ms": "1"})
    with pytest.raises(openai.RateLimitError) as caught:
        say(client)
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert len(session.journal) == 3


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_a_connection_lost_in_mid_stream_is_an_error_and_not_tried_again(
    session: Handle, client: openai.OpenAI, kind: str
) -> None:
    broken(session, kind=kind, frame=3)
    with pytest.raises(openai.APIConnectionError):
        say(client, stream=True)
    assert [fault for fault, _ in outcomes(session)] == [kind]


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_a_connection_lost_before_the_headers_is_tried_again(session: Handle, client: openai.OpenAI, kind: str) -> None:
    broken(session, kind=kind, at="start", times=1)
    assert say(client, stream=True) == "One two three"
    assert [fault for fault, _ in outcomes(session)] == [kind, None]


def test_a_stall_is_a_timeout(session: Handle, client: openai.OpenAI) -> None:
    broken(session, kind="stall", frame=2)
    with pytest.raises(openai.APITimeoutError):
        say(client.with_options(timeout=0.1), stream=True)
    assert outcome(session, "client left") == "client left"


def test_an_error_in_mid_stream_is_raised_with_its_text(session: Handle, client: openai.OpenAI) -> None:
    broken(session, kind="error", frame=2, message="Boom")
    with pytest.raises(openai.APIError, match="Boom"):
        say(client, stream=True)


def test_a_reset_does_not_wait_for_ever_for_a_client_that_does_not_read(
    session: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RESET_PATIENCE", 0.2)
    rule = {"reply": {"content": "x" * 60_000}, "stream": {"split": "whole"}, "fault": {"kind": "reset", "frame": 2}}
    session.load({"rules": [rule]})
    host, port = session.url.removeprefix("http://").partition("/")[0].split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel takes its least, some kB
        client.connect((host, int(port)))
        body, path = chat(stream=True), "/s/" + session.url.rpartition("/s/")[2]
        client.sendall(
            f"POST {path}/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        poll = select.poll()
        poll.register(client, select.POLLHUP)  # and errors, which always count
        assert poll.poll(20_000)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    assert [entry.outcome for entry in session.journal] == ["reset"]
