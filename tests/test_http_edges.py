"""HTTP at its edges: what surrounds a request, how a client ends, what is not a body, and what the log shows of it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import fakellm
from fakellm.engine.entry import Entry
from fakellm.engine.response import Outcome, Relay, Response
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import HttpRequest
from fakellm.server.connection import RESET_PATIENCE, ClientConnection
from fakellm.server.connections.settings import Connections
from fakellm.server.hosting import Hosted
from fakellm.server.http_server import Server
from fakellm.server.listener import HEAD_SECONDS
from fakellm.server.request_body import BODY_SECONDS
from fakellm.server.requests.log import MOST_CHARACTERS, OneLine, one_line
from fakellm.server.scenario_app import App
from fakellm.testing.handle import Handle
from fakellm.wire.http.http1 import Burst
from fakellm.wire.on_demand import OnDemand
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat, post
from tests.virtual_time import Listening, run

GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
RULES = {
    "rules": [
        {"when": {"model": "gaps"}, "reply": {"content": "One two three"}, "timing": {"first": 4, "gap": 8}},
        {"when": {"model": "paced"}, "reply": {"content": "One two"}, "timing": {"gap": 3600}},
        {"when": {"model": "stalled"}, "reply": {"content": "One"}, "fault": {"kind": "stall", "at": "start"}},
        {"when": {"model": "slow"}, "reply": {"content": "One"}, "timing": {"first": 3600}},
        {"reply": {"content": "One two three"}},
    ]
}


def request(body: bytes, *lines: str, version: str = "1.1") -> bytes:
    head = [f"POST /v1/chat/completions HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(RULES) as running:
        yield running


def connected(server: Handle) -> socket.socket:
    host, port = server.url.partition("/s/")[0].removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def talk(server: Handle, data: bytes, shut: bool = False) -> bytes:
    """What the server sends until it ends the connection; `shut`: after the client has ended its side."""
    with connected(server) as connection:
        connection.sendall(data)
        if shut:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def statuses(reply: bytes) -> list[int]:
    """The statuses of all responses in what was received, none of which has a status line in its body."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", reply)]


BEFORE = {
    "a GET": (GET, [200]),
    "a POST": (request(chat()), [200]),
    "a stream": (request(chat(stream=True)), [200]),
    "several": (GET + request(chat()) + GET, [200, 200, 200]),
    "a refusal": (request(b"{"), [400]),
    "a blank line in the body": (request(b'{"a":\r\n\r\n1}'), [400]),
    "a long body": (request(chat(user="x" * 100_000)), [200]),
}


@pytest.mark.parametrize("rest", [b"\x00\x01rubbish\r\n\r\n", b"rubbish\r\n", b"\x16\x03\x01TLS\r\n\r\n"])
@pytest.mark.parametrize("name", BEFORE)
def test_requests_before_rubbish_are_answered_first(server: Handle, name: str, rest: bytes) -> None:
    data, expected = BEFORE[name]
    assert statuses(talk(server, data + rest)) == [*expected, 400]


@pytest.mark.parametrize("name", BEFORE)
def test_a_client_that_has_ended_its_side_gets_its_answers(server: Handle, name: str) -> None:
    data, expected = BEFORE[name]
    assert statuses(talk(server, data, shut=True)) == expected


@pytest.mark.parametrize("data", [b"", GET[:-4], request(chat())[:-1], GET + request(chat())[:-1]])
def test_a_request_that_is_cut_off_is_not_answered(server: Handle, data: bytes) -> None:
    with_answer = data.startswith(GET)
    assert statuses(talk(server, data, shut=True)) in ([[200], []] if with_answer else [[]])


@pytest.mark.parametrize("model", ["paced", "stalled", "slow"])
def test_a_client_that_ends_its_side_during_a_wait_has_left(server: Handle, model: str) -> None:
    session = server.session(f"left-{model}")
    session.reset()
    data = request(chat(model=model, stream=True)).replace(b"/v1/", f"/s/left-{model}/v1/".encode(), 1)
    talk(session, data, shut=True)  # it returns: the server closes the connection
    assert [entry.outcome for entry in session.journal] == ["client left"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_has_ended_its_side_gets_a_paced_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        async with opened(tmp_path) as (reader, writer):
            writer.write(request(chat(model="gaps", stream=stream)))
            writer.write_eof()
            reply = await reader.read()
            assert b"One" in reply
            assert b"three" in reply
            assert reply.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n" if stream else b"}\n")

    run(everything())


@pytest.mark.parametrize("later", [0.2, 3.0, 11.0])
def test_a_client_that_ends_its_side_later_has_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: float
) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        async with opened(tmp_path) as (reader, writer):
            writer.write(request(chat(model="gaps", stream=True)))
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(later)
            writer.write_eof()
            assert b"[DONE]" not in await reader.read()
            assert asyncio.get_running_loop().time() == pytest.approx(began + later)

    run(everything())


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("delimited", ["chunked", "length"])
def test_a_status_without_a_body_gets_none(status: int, delimited: Any) -> None:
    """Else the next response on the connection would start with it."""
    plan = Plan(status, (("ETag", "x"),), (Frame(b"a body"),), delimited=delimited)
    recorded = Cassette("c", (Interaction(RecordedRequest("GET", "/v1/models", (), b""), plan),))
    with fakellm.replay(recorded) as replay:
        head, _, rest = talk(replay, GET, shut=True).partition(b"\r\n\r\n")
        assert (head.startswith(f"HTTP/1.1 {status}".encode()), rest) == (True, b"")
        assert statuses(talk(replay, GET * 3, shut=True)) == [status] * 3


def test_http_1_0_gets_no_interim_response(server: Handle) -> None:
    reply = talk(server, request(chat(), "Expect: 100-continue", version="1.0"))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization : Bearer a-secret-key",
        b"Authorization Bearer a-secret-key",
        b"Authorization: Bearer a-secret-key\0",
        b"api-key : a-secret-key",
        b"Cookie: a-secret-key\x7f",
        b"a-secret-key" * 1_000,
    ],
)
def test_a_line_that_is_not_a_header_is_not_logged(
    server: Handle, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    reply = talk(server, b"GET /v1/models HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n")
    assert statuses(reply) == [400]
    assert "This is not an HTTP request" in caplog.text
    assert "secret" not in caplog.text


def test_a_client_that_leaves_before_its_body_is_no_fault_of_ours(
    server: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    for version in ("1.0", "1.1"):
        head = request(chat(), "Expect: 100-continue", version=version)[: -len(chat())]
        with connected(server) as connection:
            connection.sendall(head)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        talk(server, head, shut=True)
    assert post(server.base_url + "/chat/completions", chat()).status_code == 200
    assert "Traceback" not in caplog.text
    assert "itself failed" not in caplog.text


@pytest.mark.parametrize("path", ["//v1/models", "/v1//models?a=//b", "/v1/%2e%2E/x", "/v1/models/?", "/%0a%1b[31m"])
def test_a_path_is_shown_as_it_was_sent(server: Handle, path: str) -> None:
    session = server.session("paths")
    session.reset()
    body = talk(server, f"GET /s/paths{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), shut=True).partition(b"\r\n\r\n")[2]
    assert session.journal[0].path == "/s/paths" + path
    assert json.loads(body)["error"]["message"].startswith(f"Unknown request URL: GET /s/paths{path}")


class Broken(App):
    """Fails when a reply is about to be sent."""

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        outcome, entry = super().handle(request)
        assert isinstance(outcome, Response)
        return replace(outcome, ended=self.fail), entry

    def fail(self) -> None:
        raise ValueError("broken")


class BrokenPrepared(Broken):
    """Has to prepare its answers before."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.prepared = False

    def prepare(self, request: HttpRequest) -> Awaitable[None] | None:
        waits, self.prepared = not self.prepared, True
        return asyncio.sleep(0) if waits else None


@pytest.mark.parametrize("broken", [Broken, BrokenPrepared])
def test_a_reply_that_cannot_be_sent_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: type[Broken]
) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        app = broken(load(RULES))
        async with opened(tmp_path, Server(app)) as (reader, writer):
            writer.write(request(chat()))
            reply = await reader.read()
            assert reply.startswith(b"HTTP/1.1 500 ")
            assert b"fakellm itself failed: ValueError('broken')" in reply
        (entry,) = app.session("").journal
        assert entry.status == 500

    run(everything())
    assert "Fatal error" not in caplog.text


class BrokenLater(App):
    """Fails after the first burst of a reply."""

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        outcome, entry = super().handle(request)
        assert isinstance(outcome, Response)
        return replace(outcome, bursts=OnDemand(lambda: self.bursts(outcome.bursts[0]), 0)), entry

    def bursts(self, first: Burst) -> Iterator[Burst]:
        yield replace(first, data=first.data[:-20])
        raise ValueError("broken")


def test_a_reply_that_fails_after_its_beginning_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    app = BrokenLater(load(RULES))
    with Hosted(app) as hosted:
        host, port = hosted.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request(chat(stream=True)))
            received = b""
            while data := connection.recv(65536):
                received += data
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"not an HTTP request" not in received
    assert not received.endswith(b"0\r\n\r\n")
    (entry,) = app.session("").journal
    assert entry.outcome == "closed"
    assert "fakellm itself failed while it sent a reply" in caplog.text
    assert "ValueError: broken" in caplog.text


class Relaying(App):
    """Has all requests passed on."""

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        _, entry = super().handle(request)
        return Relay(), entry


class BrokenProxy:
    async def __call__(self, request: HttpRequest, entry: Entry, client: ClientConnection) -> Plan:
        client.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
        raise ValueError("broken")

    async def close(self) -> None:
        pass


def test_a_response_that_cannot_be_passed_on_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        app = Relaying(load(RULES))
        async with opened(tmp_path, Server(app, proxy=BrokenProxy())) as (reader, writer):
            writer.write(request(chat()))
            assert (await reader.read()).endswith(b"\r\n\r\n1234")
        (entry,) = app.session("").journal
        assert entry.outcome == "closed"

    run(everything())
    assert "ValueError: broken" in caplog.text


def test_a_reply_is_under_way_until_its_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page and the journal take it for final as soon as it has another outcome."""
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        app = App(load({"rules": [{"reply": {"content": "x" * 9_000}, "fault": {"kind": "reset", "frame": -1}}]}))
        app.offloads = False
        async with opened(tmp_path, Server(app)) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined] # the client does not read
            writer.write(request(chat(stream=True)))
            await asyncio.sleep(1)
            (entry,) = app.session("").journal
            assert (entry.outcome, entry.ended) == ("sending", None)
            await asyncio.sleep(RESET_PATIENCE)
            assert entry.outcome == "reset"
            assert entry.ended is not None

    run(everything())


class Preparing(App):
    """Loses the client as soon as it prepares the answer."""

    lose: Callable[[], None]
    ready: asyncio.Future[None]

    def prepare(self, request: HttpRequest) -> asyncio.Future[None]:
        self.lose()
        self.ready = asyncio.get_running_loop().create_future()
        return self.ready


def test_what_is_prepared_for_a_client_that_has_left_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        app = Preparing(load(RULES))
        server = Server(app)
        app.lose = server.cut_off
        async with opened(tmp_path, server) as (reader, writer):
            writer.write(request(chat()))
            assert await reader.read() == b""
            assert app.ready.cancelled()

    run(everything())


# What never arrives


@asynccontextmanager
async def opened(
    folder: Path, server: Server | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    os.chdir(folder)
    server = server or Server(App(load(RULES)))
    await server.start(Listening("socket"))
    reader, writer = await asyncio.open_unix_connection("socket")
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.stop(grace=0)


def test_an_empty_line_between_requests_is_no_part_of_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9112, 2.2: a server should ignore it."""
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        async with opened(tmp_path) as (reader, writer):
            for end in (b"", b"\r\n"):
                writer.write(end)
                await asyncio.sleep(2 * HEAD_SECONDS)
                writer.write(GET)
                assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 200 OK\r\n"
                length = re.search(rb"(?i)content-length: (\d+)", await reader.readuntil(b"\r\n\r\n"))
                assert length
                await reader.readexactly(int(length[1]))

    run(everything())


@pytest.mark.parametrize("part", [b"G", GET[:-1], request(chat())[:20]])
def test_the_rest_of_a_head_has_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        async with opened(tmp_path) as (reader, writer):
            writer.write(part)
            began = asyncio.get_running_loop().time()
            assert await reader.read() == b""
            assert asyncio.get_running_loop().time() - began == pytest.approx(HEAD_SECONDS)

    run(everything())


def test_a_connection_without_a_request_is_kept_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        async with opened(tmp_path) as (reader, writer):
            for _ in range(2):
                await asyncio.sleep(HEAD_SECONDS * 2)
                writer.write(GET[:9])
                await asyncio.sleep(HEAD_SECONDS / 2)
                writer.write(GET[9:])
                assert (await reader.readuntil(b"\n  ]\n}\n")).startswith(b"HTTP/1.1 200 OK")

    run(everything())


def test_a_connection_with_a_part_of_a_head_is_not_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        server = Server(App(load(RULES)), connections=Connections(keep_alive=1))
        async with opened(tmp_path, server) as (reader, writer):
            for _ in range(3):
                writer.write(GET)
                assert (await reader.readuntil(b"\n  ]\n}\n")).startswith(b"HTTP/1.1 200 OK")
                await asyncio.sleep(0.7)
                writer.write(GET[:9])
                await asyncio.sleep(HEAD_SECONDS / 2)
                writer.write(GET[9:])
                assert (await reader.readuntil(b"\n  ]\n}\n")).startswith(b"HTTP/1.1 200 OK")
            began = asyncio.get_running_loop().time()
            assert await reader.read() == b""
            assert asyncio.get_running_loop().time() - began == pytest.approx(1)

    run(everything())


def test_the_rest_of_a_body_has_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def everything() -> None:
        async with opened(tmp_path) as (reader, writer):
            sent = request(chat())
            for size in (len(sent) - 9, len(sent) - 7, len(sent) - 5):
                writer.write(sent[size - 2 : size] if size != len(sent) - 9 else sent[:size])
                await asyncio.sleep(BODY_SECONDS * 0.9)
            reply = await reader.readuntil(b"\r\n\r\n")
            assert reply.startswith(b"HTTP/1.1 408 ")

    run(everything())


# The log

FORGED = "\nfakellm: forged\x1b[31m\r\x85\u2028\u202e\ud800\x9b"


@given(st.text(st.characters()))
def test_what_is_logged_is_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    line.encode()
    if text.isprintable():
        assert line == text


def test_a_long_value_is_shortened_in_the_log() -> None:
    assert one_line("x" * 10**6) == "x" * MOST_CHARACTERS + "… (1,000,000 characters)"


def test_a_request_forges_no_line(caplog: pytest.LogCaptureFixture) -> None:
    rules = {"rules": [{"name": "a\nfakellm: forged", "when": {"model": "x\nfakellm: forged*"}, "reply": {}}]}
    with fakellm.serve(rules) as server:
        for body in (
            chat(model=FORGED),
            chat(user=FORGED),
            FORGED.encode("utf-8", "surrogatepass"),
            chat(**{FORGED: 1}),
        ):
            post(server.base_url + "/chat/completions", body)
        for path in ("/v1/models/%0afakellm:%20forged", "/%0d%0afakellm:forged"):
            talk(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        talk(server, b"GET /a\x1b[31m\xe2\x80\xa8 HTTP/1.1\r\n\r\n")
        talk(server, b"GET / HTTP/1.1\r\nHost: x\r\nA\x1b: \x1b\r\n\r\n")
    lines = [record.getMessage() for record in caplog.records if record.name == "fakellm"]
    assert len(lines) > 5
    assert [line for line in lines if not line.isprintable()] == []


def test_a_traceback_forges_no_line() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        record = logging.LogRecord("fakellm", logging.ERROR, "f", 1, "%s", ("\n",), sys.exc_info())
    assert OneLine().filter(record)
    first, *rest = logging.Formatter("fakellm: %(message)s").format(record).split("\n")
    assert first == "fakellm: \\n"
    assert rest
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


FULL = """
import logging, resource, socket, sys, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 4096))
import fakellm
fakellm.on
with fakellm.serve() as server:
    host, port = server.url.removeprefix("http://").split(":")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    logged = threading.Event()
    logging.getLogger("fakellm").addFilter(lambda record: logged.set() or True)
    clients = [socket.socket() for _ in range(100)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (48, 4096))
    for client in clients:
        client.connect((host, int(port)))
    logged.wait()
    for client in clients:
        client.close()
    print(server.health()["status"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count descriptors in other ways")
def test_a_server_without_descriptors_writes_little_and_recovers() -> None:
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n"
    assert 0 < len(done.stderr.splitlines()) < 5, done.stderr[-2000:]
    assert "no connection can be accepted" in done.stderr


# What need not wait


async def turns_until(done: Callable[[], bool], most: int = 50) -> int:
    """After how many turns of the event loop it is `done`."""
    for turns in range(most):
        if done():
            return turns
        await asyncio.sleep(0)
    raise AssertionError(f"it is not done after {most} turns")


@asynccontextmanager
async def exchange(folder: Path, sent: bytes) -> AsyncIterator[tuple[Server, App, socket.socket]]:
    """A server, and a connection on which a request has been sent that the server has not seen yet."""
    app = App(load(RULES))
    server = Server(app)
    await server.start(Listening(str(folder / "socket")))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "socket"))
        client.setblocking(False)
        for _ in range(20):
            await asyncio.sleep(0)  # until it is accepted
        client.sendall(sent)
        yield server, app, client
    await server.stop(grace=0)


def arrived(client: socket.socket) -> bool:
    with suppress(BlockingIOError):
        return bool(client.recv(65536))
    return False


@pytest.mark.parametrize("model", ["at-once", "unknown"])
def test_a_reply_that_is_due_leaves_in_the_turn_in_which_its_request_arrives(tmp_path: Path, model: str) -> None:
    """To wake aiohttp's task for it, which starts another one, would take three turns more."""

    async def everything() -> int:
        async with exchange(tmp_path, request(chat(model=model))) as (_, _, client):
            return await turns_until(lambda: arrived(client))

    assert asyncio.run(everything()) <= 2


def test_a_connection_that_is_cut_before_its_reply_begins_leaves_no_reply_under_way(tmp_path: Path) -> None:
    async def everything() -> str:
        async with exchange(tmp_path, request(chat(model="paced", stream=True))) as (server, app, _):
            journal = app.session("").journal
            await turns_until(lambda: len(journal) > 0)
            server.cut_off()
            await turns_until(lambda: not next(iter(journal)).under_way)
            return next(iter(journal)).outcome

    assert asyncio.run(everything()) == "client left"
