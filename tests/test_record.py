"""The recording proxy over real sockets: what passes through, what the file has, and that replay sends it again."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp.base_protocol import BaseProtocol
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from yarl import URL

import fakellm
from fakellm.apis.chat.providers import DIALECTS
from fakellm.base.errors import CassetteError
from fakellm.recordings import capture, content_codings
from fakellm.recordings.capture import Capture, readable
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import fakellm_jsonl, read_file
from fakellm.recordings.recording_file import RecordingFile
from fakellm.recordings.redaction import SHORTEST, redacted
from fakellm.recordings.upstream_url import checked_upstream, ending_in_a_route, is_own
from fakellm.server import recording_proxy
from fakellm.server import upstream as upstream_module
from fakellm.server.scenario_app import HttpRequest
from fakellm.server.upstream import passed_on, pieces
from fakellm.testing.handle import Handle
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat
from tests.wire_reader import Received, receive

CALLS = [{"name": "add", "arguments": {"a": 2}}, {"name": "weather", "arguments": {"city": "Oslo 中"}}]
REPLY = {"reasoning": "I should ask.", "content": "One, two 中 three", "tool_calls": CALLS}
CHAT = "/chat/completions"


def rule(model: str, **blocks: Any) -> dict[str, Any]:
    return {"when": {"model": model}, "reply": REPLY, **blocks}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recorded.jsonl"


def kept(file: Path) -> tuple[Interaction, ...]:
    return read_file(file).interactions


def wait_for(what: Callable[[], Any]) -> None:
    """Returns when the condition holds; each check is a request over HTTP."""
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end, "it never came to be so"


# What passes through is what the upstream sent, and replay sends it again


def thrice(
    file: Path, rules: Sequence[dict[str, Any]], bodies: Sequence[bytes]
) -> list[tuple[Received, Received, Received]]:
    """What the server itself answers, what comes through the recorder, and what is replayed."""
    with fakellm.serve({"rules": list(rules)}) as upstream:
        direct = [receive(upstream.base_url + CHAT, body) for body in bodies]
        upstream.reset()
        with fakellm.record(upstream.base_url, file) as recorder:
            passed = [receive(recorder.base_url + CHAT, body) for body in bodies]
    with fakellm.replay(file, again="fail") as replay:
        replayed = [receive(replay.base_url + CHAT, body) for body in bodies]
    return list(zip(direct, passed, replayed, strict=True))


def test_every_dialect_comes_back(file: Path) -> None:
    rules = [rule(name, dialect=name, stream={"padding": 3}, timing={"gap": 0.001}) for name in sorted(DIALECTS)]
    options = {"stream_options": {"include_usage": True}}
    bodies = [chat(model=name, stream=True, **options) for name in DIALECTS] + [chat(model=name) for name in DIALECTS]
    for direct, passed, replayed in thrice(file, rules, bodies):
        assert direct.replayable == passed.replayable == replayed.replayable
        assert passed.headers == direct.headers
        assert direct.end == "complete"
        assert {name: replayed.headers.get(name) for name in direct.headers} == direct.headers


SENT: list[dict[str, Any]] = [
    {"stream": {"transfer": {"coalesce": "all"}}},
    {"stream": {"transfer": {"coalesce": 3}}},
    {"stream": {"transfer": {"cut": 7}}},
    {"stream": {"transfer": {"cut": "inside_characters"}}},
    {"stream": {"transfer": {"body": "length"}}},
    {"stream": {"transfer": {"body": "close"}}},
    {"stream": {"transfer": {"content_type": None}}},
    {"stream": {"sse": {"line_end": "crlf", "insert": [{"before": [1], "comment": "OPENROUTER PROCESSING"}]}}},
    {"fault": {"kind": "close", "frame": 3}},
    {"fault": {"kind": "close", "byte": 700}},
    {"fault": {"kind": "close", "at": "start"}},
    {"fault": {"kind": "close", "at": "headers"}},
    {"fault": {"kind": "close", "frame": 3}, "stream": {"transfer": {"body": "length"}}},
    {"fault": {"kind": "reset", "frame": 3}},
    {"fault": {"kind": "reset", "at": "start"}},
    {"fault": {"kind": "reset", "at": "headers"}},
    {"fault": {"kind": "reset", "frame": 2}, "stream": {"transfer": {"body": "close"}}},
    {"fault": {"kind": "reset", "frame": 2}, "stream": {"transfer": {"body": "length"}}},
    {"fault": {"kind": "eof", "frame": 3}},
    {"fault": {"kind": "hang_up"}},
    {"fault": {"kind": "unterminated"}},
    {"fault": {"kind": "empty"}},
    {"fault": {"kind": "html", "status": 502}},
    {"fault": {"kind": "status", "status": 429, "retry_after": 1}},
    {"fault": {"kind": "status", "status": 500, "body": ""}},
    {"fault": {"kind": "status", "status": 307, "headers": {"location": "/v1/chat/completions"}}},
]


def test_every_way_to_send_and_to_break_off_comes_back(file: Path) -> None:
    rules = [rule(f"m{number}", **blocks) for number, blocks in enumerate(SENT)]
    bodies = [chat(model=f"m{number}", stream=True) for number in range(len(SENT))]
    for blocks, (direct, passed, replayed) in zip(SENT, thrice(file, rules, bodies), strict=True):
        assert (blocks, direct.replayable) == (blocks, passed.replayable)
        assert (blocks, direct.replayable) == (blocks, replayed.replayable)


def test_a_compressed_stream_passes_as_it_is_and_is_recorded_readable(file: Path) -> None:
    rules = [rule("gzip", stream={"transfer": {"gzip": True}}), rule("plain")]
    (direct, passed, replayed), (plain, _, _) = thrice(
        file, rules, [chat(model=m, stream=True) for m in ("gzip", "plain")]
    )
    assert direct.replayable == passed.replayable
    assert gzip.decompress(direct.body) == replayed.body
    assert len(replayed.pieces) == len(plain.pieces)
    assert all(piece.endswith(b"\n\n") for piece in replayed.pieces)
    assert "content-encoding" not in replayed.headers


def test_the_times_of_arrival_are_kept(file: Path) -> None:
    thrice(file, [rule("m", timing={"first": 0.2, "gap": 0.01})], [chat(stream=True)])
    response = kept(file)[0].response
    assert response.delay + response.frames[0].delay >= 0.19
    assert response.delay + sum(frame.delay for frame in response.frames) >= 0.2 + 0.009 * (len(response.frames) - 1)


@pytest.mark.parametrize(("fault", "end"), [(None, "close"), (ConnectionResetError(104, "reset"), "reset")])
def test_what_arrived_ahead_of_a_fault_is_not_lost(fault: Exception | None, end: str) -> None:
    """aiohttp reports a fault before it returns what had arrived; over TLS both come at once."""

    class Protocol(BaseProtocol):
        def exception(self) -> Exception | None:
            return fault

    async def main() -> list[bytes]:
        protocol = Protocol(asyncio.get_running_loop())
        content = aiohttp.StreamReader(protocol, 2**16)
        for piece in (b"one", b"two", b"thr"):
            content.begin_http_chunk_receiving()
            content.feed_data(piece)
            if piece != b"thr":
                content.end_http_chunk_receiving()
        content.set_exception(aiohttp.ClientPayloadError())
        response: Any = SimpleNamespace(content=content, connection=SimpleNamespace(protocol=protocol))
        return [piece async for piece in pieces(response, take)]

    take = Capture(lambda: 0.0)
    take.head(200, (("Transfer-Encoding", "chunked"),))
    assert asyncio.run(main()) == [b"one", b"two", b"thr"]
    assert take.end == end


def test_a_client_of_http_1_0_gets_a_body_without_chunks(file: Path) -> None:
    with fakellm.serve({"rules": [rule("m")]}) as upstream, fakellm.record(upstream.base_url, file) as recorder:
        direct = receive(upstream.base_url + CHAT, chat(stream=True))
        host, port = recorder.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            body = chat(stream=True)
            connection.sendall(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            got = b"".join(iter(lambda: connection.recv(65536), b""))
    assert got.partition(b"\r\n\r\n")[2] == direct.body
    assert [frame.data for frame in kept(file)[0].response.frames] == direct.pieces


def test_a_prompt_of_several_megabytes_passes(file: Path) -> None:
    body = chat(messages=[{"role": "user", "content": "word " * 800_000}])
    with fakellm.serve() as upstream, fakellm.record(upstream.base_url, file) as recorder:
        assert receive(recorder.base_url + CHAT, body).status == 200
        assert upstream.journal[0].request == json.loads(body)
    assert kept(file)[0].request.body == body


def test_a_long_body_is_searched_beside_other_requests(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for secrets ends only after another request was answered."""
    answered = threading.Event()

    def search(interaction: Interaction) -> Interaction:
        assert len(interaction.request.body) < 1_000 or answered.wait(timeout=60)
        return redacted(interaction)

    monkeypatch.setattr(recording_proxy, "redacted", search)
    monkeypatch.setattr(recording_proxy, "AT_ONCE", 5_000)
    with fakellm.serve({"rules": [rule("m")]}) as upstream, fakellm.record(upstream.base_url, file) as recorder:
        receive(recorder.base_url + CHAT, chat(user="x" * 9_000, api_key="not-for-the-file-1"))
        receive(recorder.base_url + CHAT, chat())
        answered.set()
    assert [len(each.request.body) > 1_000 for each in kept(file)] == [True, False]
    assert b"not-for-the-file-1" not in file.read_bytes()


@pytest.mark.parametrize("body", [b"\x1f\x8b\xff", gzip.compress(bytes(2_000), mtime=0)])
def test_a_response_that_cannot_be_searched_passes_and_is_not_recorded(
    file: Path, body: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(content_codings, "MOST_BYTES", 1_000)
    data = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with answering(data) as upstream, fakellm.record(upstream, file) as recorder:
        assert receive(f"{recorder.base_url}{CHAT}?key=a-key-of-mine", chat()).body == body
    assert file.read_bytes() == fakellm_jsonl.dumps_header()
    assert "not recorded: its body in gzip cannot be searched for secrets" in caplog.text
    assert "a-key-of-mine" not in caplog.text


def test_a_body_without_an_end_is_passed_on_and_not_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capture, "MOST_BYTES", 10_000)
    body = bytes(9_000)
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n"
    for chunks, kept_bodies in ((1, 1), (2, 0), (50, 0)):
        with answering(data % (b"2328\r\n%b\r\n" % body * chunks)) as upstream:
            before = len(kept(file)) if file.exists() and file.stat().st_size > 100 else 0
            with fakellm.record(upstream, file) as recorder:
                got = receive(recorder.base_url + CHAT, chat())
                assert (got.pieces, got.end) == ([body] * chunks, "complete")
                assert recorder.journal[0].frames_sent == chunks
            assert len(kept(file)) == before + kept_bodies
    assert "not recorded: its body has more than" in caplog.text


def test_a_chunk_of_any_length_is_passed_on_in_parts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "MOST_CHUNK", 1_000)
    body = bytes(range(256)) * 4_000
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with answering(data) as upstream, fakellm.record(upstream, file) as recorder:
        got = receive(recorder.base_url + CHAT, chat())
    assert (got.body, got.end) == (body, "complete")
    assert kept(file)[0].response.body == body


def test_a_message_about_the_upstream_is_one_line_without_secrets(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    for data in (b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 99 Odd\r\n\r\n", b"HTTP/1.1 abc Odd\r\n\r\n"):
        with answering(data) as upstream, fakellm.record(upstream, file) as recorder:
            got = receive(f"{recorder.base_url}{CHAT}?key=a-key-of-mine", chat(), "X-Api-Key: another-key-of-mine")
            message = json.loads(got.body)["error"]["message"]
            assert got.status == 502
            assert [entry.explanation for entry in recorder.journal] == [message]
        for text in (message, caplog.text):
            assert "-key-of-mine" not in text
        assert message.splitlines() == [message]


# Those who leave


@contextmanager
def stepped(file: Path, *more: dict[str, Any]) -> Iterator[tuple[Handle, Handle]]:
    rules = [rule("m", timing={"step": True}), *more]
    with fakellm.serve({"rules": rules}) as upstream, fakellm.record(upstream.base_url, file) as recorder:
        yield upstream, recorder


def test_a_client_that_leaves_is_recorded_as_far_as_it_was_answered(file: Path) -> None:
    with stepped(file) as (upstream, recorder):
        got: list[Received] = []
        client = threading.Thread(
            target=lambda: got.append(receive(recorder.base_url + CHAT, chat(stream=True), chunks=2))
        )
        client.start()
        wait_for(lambda: upstream.journal)
        upstream.step(2)
        client.join()
        wait_for(lambda: recorder.journal[0].outcome == "client left")
        wait_for(lambda: upstream.journal[0].outcome == "client left")  # nobody reads on for one who is gone
    response = kept(file)[0].response
    assert ([frame.data for frame in response.frames], response.end) == (got[0].pieces, "stall")
    with fakellm.replay(file) as replay:
        again = receive(replay.base_url + CHAT, chat(stream=True), chunks=2)
        assert again.replayable == got[0].replayable == (200, got[0].pieces, "left")


def test_a_client_that_leaves_before_the_answer_is_recorded(file: Path) -> None:
    rules = [rule("m", fault={"kind": "stall", "at": "start"})]
    with fakellm.serve({"rules": rules}) as upstream, fakellm.record(upstream.base_url, file) as recorder:
        receive(recorder.base_url + CHAT, chat(stream=True), chunks=0)
        wait_for(lambda: recorder.journal and recorder.journal[0].outcome == "client left")
    assert kept(file)[0].response == Plan(None, (), (), end="stall")


def test_a_stop_keeps_what_had_come(file: Path) -> None:
    got: list[Received] = []
    with fakellm.serve({"rules": [rule("m", timing={"step": True})]}) as upstream:
        with fakellm.record(upstream.base_url, file) as recorder:
            client = threading.Thread(target=lambda: got.append(receive(recorder.base_url + CHAT, chat(stream=True))))
            client.start()
            wait_for(lambda: upstream.journal)  # on a busy machine, this may take longer than a step waits
            upstream.step(2)
            wait_for(lambda: recorder.journal[0].frames_sent == 2)
        client.join()
    response = kept(file)[0].response
    assert ([frame.data for frame in response.frames], response.end) == (got[0].pieces, "close")


def test_the_order_is_that_of_the_starts(file: Path) -> None:
    with stepped(file, rule("quick")) as (upstream, recorder):
        client = threading.Thread(target=lambda: receive(recorder.base_url + CHAT, chat(stream=True)))
        client.start()
        wait_for(lambda: upstream.journal)
        upstream.step(1)
        receive(recorder.base_url + CHAT, chat(model="quick"))
        assert [json.loads(each.request.body)["model"] for each in kept(file)] == ["quick"]  # at once: none is lost
        upstream.step(None)
        client.join()
    assert [json.loads(each.request.body)["model"] for each in kept(file)] == ["m", "quick"]


def test_an_sdk_with_streams_at_once_and_one_it_leaves(file: Path) -> None:
    def ask(client: openai.AsyncOpenAI, number: int, model: str = "m") -> Any:
        messages: Any = [{"role": "user", "content": f"Question {number}"}]
        return client.chat.completions.create(model=model, messages=messages, stream=True)

    async def read(client: openai.AsyncOpenAI, number: int) -> list[Any]:
        return [chunk async for chunk in await ask(client, number)]

    async def leave(client: openai.AsyncOpenAI) -> list[Any]:
        stream = await ask(client, 9, "slow")
        chunks = [await anext(stream) for _ in range(3)]
        await stream.close()
        return chunks

    async def drive(base_url: str) -> list[list[Any]]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-secret-of-the-sdk-1") as client:
            return await asyncio.gather(*(read(client, number) for number in range(8)), leave(client))

    rules = [rule("m", stream={"padding": 5}, timing={"gap": 0.005}), rule("slow", timing={"gaps": [0, 0, 0, 0, 600]})]
    with fakellm.serve({"rules": rules}) as upstream, fakellm.record(upstream.base_url, file) as recorder:
        first = asyncio.run(drive(recorder.base_url))
        wait_for(lambda: "sending" not in [entry.outcome for entry in recorder.journal])
    with fakellm.replay(file, again="fail") as replay:
        assert asyncio.run(drive(replay.base_url)) == first
    assert sorted(each.response.end for each in kept(file)) == ["complete"] * 8 + ["stall"]
    assert b"sk-secret" not in file.read_bytes()


# Where there is no upstream


def test_an_upstream_that_is_not_there(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with fakellm.record(f"http://127.0.0.1:{port}/v1", file) as recorder:
        got = receive(recorder.base_url + CHAT, chat())
        assert (got.status, recorder.journal[0].status) == (502, 502)
        assert f"The upstream http://127.0.0.1:{port}/v1 cannot be reached" in json.loads(got.body)["error"]["message"]
    assert "cannot be reached" in caplog.text
    assert file.read_bytes() == fakellm_jsonl.dumps_header()


def test_an_upstream_that_does_not_speak_http(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with fakellm.record(f"http://127.0.0.1:{listener.getsockname()[1]}", file) as recorder:
            got = receive(recorder.base_url + CHAT, chat())
        thread.join()
    assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "upstream_invalid")


def test_head_gets_no_body_whatever_the_upstream_announces(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with fakellm.record(f"http://127.0.0.1:{listener.getsockname()[1]}", file) as recorder:
            host, port = recorder.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.sendall(b"HEAD /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
                client.sendall(b"GET /_fakellm/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                received = b"".join(iter(lambda: client.recv(65536), b""))
        thread.join()
    first, second, _ = received.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert second.startswith(b"HTTP/1.1 200 OK\r\n")


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """The base URL of a server that answers each request with the same bytes, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


BODYLESS = [
    ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
    ("DELETE", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: x\r\n\r\n", 304),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
    ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", 200),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
]


@pytest.mark.parametrize(("method", "data", "status"), BODYLESS)
def test_responses_without_a_body_pass_one_after_the_other(file: Path, method: str, data: bytes, status: int) -> None:
    def ask(handle: Handle) -> tuple[int, bytes, str | None]:
        with closing(HTTPConnection(handle.url.removeprefix("http://"), timeout=20)) as client:
            client.request(method, "/v1/models")
            response = client.getresponse()
            return response.status, response.read(), response.headers["Content-Length"]

    with answering(data) as upstream, fakellm.record(upstream, file) as recorder:
        passed = [ask(recorder) for _ in range(3)]
        with closing(HTTPConnection(recorder.url.removeprefix("http://"), timeout=20)) as client:
            client.request("GET", "/_fakellm/health")
            assert client.getresponse().status == 200
    assert [each[:2] for each in passed] == [(status, b"")] * 3
    assert [each.response.end for each in kept(file)] == ["complete"] * 3
    with fakellm.replay(file) as replay:
        replayed = ask(replay)
    assert replayed[:2] == (status, b"")
    if b"Content-Length: 1234" in data:  # of the body that a GET would have got
        assert (passed[0][2], replayed[2]) == ("1234", "1234")


@pytest.mark.parametrize("status", ["000", "099", "101", "600", "999", "99", "2000", "-20", "abc"])
def test_what_is_recorded_of_an_odd_status_can_be_read(file: Path, status: str) -> None:
    data = b"HTTP/1.1 %b Odd\r\nContent-Length: 2\r\n\r\nhi" % status.encode()
    with answering(data) as upstream, fakellm.record(upstream, file) as recorder:
        got = receive(recorder.base_url + CHAT, chat())
    if status in ("600", "999"):
        assert (got.status, got.body) == (int(status), b"hi")
        with fakellm.replay(file) as replay:
            again = receive(replay.base_url + CHAT, chat())
        assert (again.status, again.body) == (int(status), b"hi")
    else:
        assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "upstream_invalid")
        assert file.read_bytes() == fakellm_jsonl.dumps_header()


def test_a_recorder_behind_itself_is_refused(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with fakellm.record(f"http://localhost:{port}/v1", file, port=port) as recorder:
        got = receive(recorder.base_url + CHAT, chat())
    error = json.loads(got.body)["error"]
    assert (got.status, error["code"]) == (502, "upstream_is_recorder")
    assert "is this recorder itself" in error["message"]
    assert file.read_bytes() == fakellm_jsonl.dumps_header()


@pytest.mark.parametrize("count", [2, 3])
def test_recorders_in_a_loop_refuse(tmp_path: Path, count: int) -> None:
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        ports = [each.getsockname()[1] for each in free]
    with ExitStack() as stack:
        for number, port in enumerate(ports):
            upstream = f"http://127.0.0.1:{ports[(number + 1) % count]}"
            handle = stack.enter_context(fakellm.record(upstream, tmp_path / f"{number}.jsonl", port=port))
        got = receive(handle.base_url + CHAT, chat())
    error = json.loads(got.body)["error"]
    assert (got.status, error["code"]) == (502, "upstream_is_recorder")
    assert "leads back to this recorder" in error["message"]


def test_a_recorder_behind_another_is_none_in_a_loop(file: Path, tmp_path: Path) -> None:
    """What one adds to a request for the next is not recorded."""
    with (
        fakellm.serve() as server,
        fakellm.record(server.url, tmp_path / "inner.jsonl") as inner,
        fakellm.record(inner.url, file) as outer,
    ):
        assert receive(outer.base_url + CHAT, chat()).status == 200
    for path in (file, tmp_path / "inner.jsonl"):
        assert len(kept(path)) == 1
        assert b"x-fakellm-recorder" not in path.read_bytes().lower()


@pytest.mark.parametrize(
    ("upstream", "host", "own"),
    [
        ("http://127.0.0.1:8080/v1", "127.0.0.1", True),
        ("http://localhost:8080", "127.0.0.1", True),
        ("http://127.0.0.1:8080", "0.0.0.0", True),
        ("http://127.0.0.1:8081/v1", "127.0.0.1", False),
        ("http://192.0.2.1:8080/v1", "127.0.0.1", False),
        ("https://192.0.2.1/v1", "127.0.0.1", False),
    ],
)
def test_its_own_address_is_known_before_the_start(upstream: str, host: str, own: bool) -> None:
    assert is_own(upstream, host, 8080) == own


URLS = st.one_of(
    st.text(),
    st.builds(
        "http://{}:{}/{}".format,
        st.one_of(
            st.text(max_size=9), st.sampled_from(["h", "a..b", "-a", "[::1]", "[x]", "ä.de", "x" * 64, "h.", "*"])
        ),
        st.one_of(st.integers(-9, 99_999).map(str), st.text(max_size=3)),
        st.text(max_size=5),
    ),
)


@given(URLS)
@example("http://h:65536/v1")
@example("http://[::1/v1")
@example("http://a..b/v1")
@example("http://h\n/v1")
def test_an_upstream_is_a_url_that_can_be_requested_or_one_line_says_why(url: str) -> None:
    problem = None
    try:
        checked = checked_upstream(url)
    except ValueError as error:
        problem = str(error)
    if problem is not None:
        assert problem.splitlines() == [problem]
        return
    requested = URL(passed_on(HttpRequest("GET", "/v1/models"), checked).url, encoded=True)
    assert requested.raw_host
    assert 0 < (requested.port or 0) < 65536
    requested.raw_host.encode("idna")


@pytest.mark.parametrize("url", ["api.x.ai/v1", "ftp://x/v1", "http://", "https://x/v1?key=1", "https://u:p@x/v1", ""])
def test_what_is_not_an_upstream_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"not the base URL of an API|leave user and password out"):
        checked_upstream(url)


@pytest.mark.parametrize(
    ("upstream", "path", "url"),
    [
        ("https://api.openai.com/v1", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "/v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "/s/one/v1/models?a=b", "https://openrouter.ai/api/v1/models?a=b"),
        ("https://openrouter.ai/api/v1", "/models", "https://openrouter.ai/api/v1/models"),
        ("https://x.azure.com", "/openai/deployments/d/e?v=1", "https://x.azure.com/openai/deployments/d/e?v=1"),
        ("https://api.x.ai", "/v1/models", "https://api.x.ai/v1/models"),
        ("https://api.x.ai/v1", "/v1beta/models", "https://api.x.ai/v1/v1beta/models"),
    ],
)
def test_the_base_url_replaces_ours(upstream: str, path: str, url: str) -> None:
    assert passed_on(HttpRequest("GET", path), upstream).url == url


# Secrets

KEY = "sk-proj-Zq3/8+x9Lw2uT7"


def test_no_secret_reaches_the_file(file: Path) -> None:
    organisation, cookie = "org-Ab12Cd34Ef56Gh78Ij90", "cf_8b1d2e3f4a5b"
    message = f"Incorrect API key provided: {KEY}. Organization {organisation} of {cookie}"
    headers = {"set-cookie": f"__cf={cookie}; path=/; HttpOnly", "openai-organization": "user-of-the-test"}
    fault = {"kind": "status", "status": 401, "message": message, "headers": headers}
    cut = {"transfer": {"cut": 5}}
    rules = [
        rule("status", fault=fault),
        rule("cut", stream=cut) | {"reply": {"content": f"You are {KEY}", "model": KEY}},
    ]
    lines = [f"Authorization: Bearer {KEY}", "Cookie: session=crumbs-and-more", "X-Api-Key: 0123456789", "Cookie: a=b"]
    with fakellm.serve({"rules": rules}) as upstream, fakellm.record(upstream.base_url, file) as recorder:
        for body in (chat(model="status"), chat(model="cut", stream=True), chat(model="cut", user=KEY)):
            got = receive(recorder.base_url + CHAT + "?key=tiny&api_key=0123456789", body, *lines)
            assert KEY.encode() in got.body  # the client gets what was sent
        assert got.status == 200
    text = file.read_text(encoding="utf-8")
    for secret in (KEY, organisation, cookie, "user-of-the-test", "crumbs-and-more", "0123456789", "tiny", "Bearer"):
        assert secret not in text
    assert not {"authorization", "cookie", "x-api-key", "set-cookie", "openai-organization"} & {
        name.lower() for each in kept(file) for name, _ in (*each.request.headers, *each.response.headers)
    }
    whole = b"".join(frame.data for each in kept(file) for frame in each.response.frames)
    assert KEY.encode() not in whole
    assert b"REDACTED" in whole


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("authorization", True),
        ("Proxy-Authorization", True),
        ("cookie", True),
        ("Set-Cookie", True),
        ("x-api-key", True),
        ("api-key", True),
        ("X-Goog-Api-Key", True),
        ("Ocp-Apim-Subscription-Key", True),
        ("openai-organization", True),
        ("OpenAI-Project", True),
        ("anthropic-organization-id", True),
        ("x-amz-security-token", True),
        ("x-ratelimit-remaining-tokens", False),
        ("x-ratelimit-limit-project-tokens", False),
        ("x-request-id", False),
        ("content-type", False),
        ("keep-alive", False),
    ],
)
def test_which_headers_are_left_out(name: str, is_secret: bool) -> None:
    headers = ((name, "150000000"),)
    after = redacted(Interaction(RecordedRequest("GET", "/v1", headers), Plan(200, headers, (Frame(b"150000000"),))))
    assert (after.request.headers, after.response.headers) == (((), ()) if is_secret else (headers, headers))
    assert (after.response.body == b"150000000") == (not is_secret)


SECRET = st.text("abcdefghij0123456789-_/+.", min_size=SHORTEST, max_size=20)
PARTS = st.lists(st.sampled_from(["secret", "x", " ", '"', "data: ", "\n\n"]), max_size=6)


@given(
    SECRET,
    PARTS,
    st.lists(st.integers(0, 60), max_size=4),
    st.sampled_from(["Authorization", "api-key", "X-Auth-Token"]),
)
def test_redaction_leaves_no_secret_and_every_length(secret: str, parts: list[str], cuts: list[int], name: str) -> None:
    body = "".join(secret if part == "secret" else part for part in parts).encode()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    frames = tuple(Frame(body[start:end]) for start, end in pairwise(edges))
    request = RecordedRequest(
        "POST", f"https://h/v1?q={secret}&token=ab", ((name, f"Bearer {secret}"), ("X-Note", secret)), body
    )
    before = Interaction(request, Plan(200, (("X-Echo", secret),), frames, "chunked"))
    after = redacted(before)
    line = fakellm_jsonl.dump_line(after).decode()
    assert secret not in line
    assert name not in line
    assert secret.encode() not in after.response.body
    assert [len(frame.data) for frame in after.response.frames] == [len(frame.data) for frame in frames]
    assert len(after.request.body) == len(body)
    assert redacted(after) == after


@given(st.binary(max_size=60), st.lists(st.sampled_from(["Accept", "X-Request-ID", "max-tokens"]), max_size=2))
def test_redaction_leaves_the_rest_as_it_is(body: bytes, names: list[str]) -> None:
    headers = tuple((name, "value") for name in names)
    plain = Interaction(
        RecordedRequest("POST", "https://h/v1/x?a=b&c", headers, body), Plan(200, headers, (Frame(body),))
    )
    assert redacted(plain) == plain


@pytest.mark.parametrize("spelling", ["sk-proj-Zq3%2F8%2Bx9Lw2uT7", "sk-proj-Zq3\\/8+x9Lw2uT7"])
def test_a_secret_is_found_as_urls_and_json_spell_it(spelling: str) -> None:
    request = RecordedRequest("GET", f"https://h/{spelling}", (("api-key", KEY),))
    assert "Zq3" not in redacted(Interaction(request, Plan(200, (), ()))).request.url


def test_listed_secrets_are_redacted_too() -> None:
    plain = Interaction(RecordedRequest("POST", "/v1", (), b"I am Ada Lovelace."), Plan(200, (), ()))
    assert redacted(plain, ["Ada Lovelace"]).request.body == b"I am REDACTEDREDA."


# What is kept of a response


def test_pieces_that_came_together_are_one_but_chunks_stay() -> None:
    for length, frames in (("Transfer-Encoding", [1, 1, 1]), ("Content-Length", [2, 1])):
        times = iter([0.0, 0.1, 0.3, 0.3004, 0.5])
        take = Capture(lambda times=times: next(times))  # type: ignore[misc] # mypy cannot infer a default
        take.head(200, ((length, "chunked" if length == "Transfer-Encoding" else "3"),))
        for piece in (b"a", b"b", b"c"):
            take.body(piece)
        assert [len(frame.data) for frame in take.plan.frames] == frames
        assert (take.plan.delay, take.plan.frames[0].delay, take.plan.frames[-1].delay) == (0.1, 0.2, 0.2)
        assert take.plan.end == "stall"


def squeezed(encoding: str, pieces: Sequence[bytes]) -> list[bytes]:
    bits = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}[encoding]
    deflate = zlib.compressobj(wbits=bits)
    sent = [deflate.compress(piece) + deflate.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*sent, deflate.flush()]


@given(st.sampled_from(["gzip", "deflate"]), st.lists(st.binary(min_size=1, max_size=9), max_size=4))
def test_a_compressed_body_is_kept_readable_piece_by_piece(encoding: str, pieces: list[bytes]) -> None:
    frames = tuple(Frame(data, 1.0) for data in squeezed(encoding, pieces))
    plan = readable(Plan(200, (("Content-Encoding", encoding), ("A", "b")), frames, "chunked"))
    assert plan == Plan(200, (("A", "b"),), tuple(Frame(piece, 1.0) for piece in pieces), "chunked")


@pytest.mark.parametrize(
    ("plan", "kept"),
    [
        (
            Plan(200, (("Content-Encoding", "br"), ("Content-Length", "1")), (Frame(b"?"),)),
            (("Content-Encoding", "br"),),
        ),
        (Plan(200, (("Content-Encoding", "gzip"),), (Frame(b"no gzip"),)), (("Content-Encoding", "gzip"),)),
        (
            Plan(200, (("Content-Encoding", "gzip"),), (Frame(gzip.compress(b"a")[:-3]),)),
            (("Content-Encoding", "gzip"),),
        ),
        (Plan(200, (("Content-Length", "9"),), (Frame(b"?"),), end="close"), (("Content-Length", "9"),)),
        (Plan(200, (("Content-Length", "1"),), (Frame(b"?"),)), ()),
    ],
)
def test_what_cannot_be_read_is_kept_as_it_came(plan: Plan, kept: tuple[tuple[str, str], ...]) -> None:
    assert (readable(plan).headers, readable(plan).body) == (kept, plan.body)


# The file

ONE = Interaction(RecordedRequest("POST", "/v1/chat/completions", (), b"{}"), Plan(200, (), (Frame(b"one"),)))


def test_a_file_cut_anywhere_is_continued_and_nothing_is_lost(file: Path) -> None:
    whole = fakellm_jsonl.dump(Cassette("r", (ONE, ONE)))
    for size in range(len(whole) + 1):
        file.write_bytes(whole[:size])
        tape = RecordingFile(file)
        tape.add(tape.number(), ONE)
        tape.close()
        lines = max(whole[:size].count(b"\n") - 1, 0)
        assert kept(file) == (ONE,) * (lines + 1)
        rest = whole[:size][whole[:size].rfind(b"\n") + 1 :]
        assert (tape.broken is not None) == bool(rest)
        if tape.broken:
            assert tape.broken.read_bytes() == rest + b"\n"
            tape.broken.unlink()


@pytest.mark.parametrize(
    "text", ["interactions: []\n", "no line end", '{"fakellm":"recording","version":1}\nx\n', "\n"]
)
def test_a_file_in_another_format_is_not_changed(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(CassetteError, match=r"recorded\.jsonl"):
        RecordingFile(file)
    assert file.read_text() == text
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_full_disk_leaves_whole_lines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = RecordingFile(file)
    tape.add(tape.number(), ONE)
    before = file.read_bytes()
    real = tape._file

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def write(self, data: bytes) -> int:
            if len(data) < 20:
                raise OSError(28, "No space left on device")
            return real.write(data[:10])

    monkeypatch.setattr(tape, "_file", Full())
    with pytest.raises(OSError, match="No space"):
        tape.add(tape.number(), ONE)
    monkeypatch.undo()
    assert file.read_bytes() == before
    tape.add(tape.number(), ONE)
    tape.close()
    assert kept(file) == (ONE, ONE)


def recorder_of(file: Path, numbers: Sequence[int]) -> RecordingFile:
    """A recorder of one request per number, which end in this order; each response has the number of its request."""
    tape = RecordingFile(file)
    for number in sorted(numbers):
        assert tape.number() == number
    for number in numbers:
        tape.add(number, replace(ONE, response=Plan(200, (), (Frame(b"%d" % number),))))
    return tape


def bodies(file: Path) -> list[bytes]:
    return [each.response.body for each in kept(file)]


def test_sorting_keeps_the_permissions_and_the_link(tmp_path: Path) -> None:
    target, file = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.touch(0o600)
    target.chmod(0o640)
    file.symlink_to(target)
    recorder_of(file, [3, 1, 2]).close()
    assert file.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert bodies(file) == [b"1", b"2", b"3"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.jsonl", "target.jsonl"]


def test_a_full_disk_while_sorting_loses_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = recorder_of(file, [3, 1, 2])

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        tape.close()
    assert bodies(file) == [b"3", b"1", b"2"]
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    RecordingFile(file).close()  # it is no longer locked


def test_a_file_has_one_recorder(file: Path) -> None:
    first = recorder_of(file, [2, 1])
    with pytest.raises(CassetteError, match=r"recorded\.jsonl: cannot record to it: .*records to it at the moment"):
        RecordingFile(file)
    first.close()  # which replaces the file
    second = recorder_of(file, [4, 3])
    with pytest.raises(CassetteError, match="records to it"):
        RecordingFile(file)
    second.close()
    assert bodies(file) == [b"1", b"2", b"3", b"4"]


def test_a_recorder_that_cannot_listen_leaves_the_file_to_others(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        with pytest.raises(fakellm.ServerError) as _, fakellm.record("http://h/v1", file, port=used.getsockname()[1]):
            pass
        with fakellm.record("http://h/v1", file):
            pass


def test_a_second_recorder_names_the_process_of_the_first(file: Path) -> None:
    with recording("http://127.0.0.1:9/v1", file) as (_, process):
        who = f"process {process.pid}" if Path("/proc/locks").exists() else "another process"
        with pytest.raises(CassetteError, match=f"{who} records to it at the moment"):
            RecordingFile(file)
        process.kill()
        process.wait()
        RecordingFile(file).close()


# The command


@contextmanager
def recording(upstream: str, file: Path, *options: str) -> Iterator[tuple[Handle, subprocess.Popen[bytes]]]:
    command = [sys.executable, "-m", "fakellm", "record", "--upstream", upstream, "-o", str(file), *options]
    with subprocess.Popen([*command, "--port", "0", "--ready", "json"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield Handle(json.loads(process.stdout.readline())["url"]), process
        finally:
            process.terminate()


def test_a_kill_in_the_middle_leaves_whole_lines(file: Path) -> None:
    rules = [rule("m", timing={"step": True}), rule("big") | {"reply": {"content": "x" * 3_000_000}}]
    with fakellm.serve({"rules": rules}) as upstream, recording(upstream.base_url, file) as (recorder, process):
        open_stream = threading.Thread(target=lambda: receive(recorder.base_url + CHAT, chat(stream=True)))
        open_stream.start()
        upstream.step(2)
        receive(recorder.base_url + CHAT, chat(model="big"))
        wait_for(lambda: file.read_bytes().count(b"\n") == 2)  # a thread searches it first
        answered: Queue[bool] = Queue()

        def ask() -> None:
            with suppress(OSError):
                answered.put(bool(receive(recorder.base_url + CHAT, chat(model="big")).body))

        others = [threading.Thread(target=ask) for _ in range(4)]
        for thread in others:
            thread.start()
        assert answered.get(timeout=30)  # now the line is being written
        process.kill()
        process.wait()
        for thread in (*others, open_stream):
            thread.join()
    tape = RecordingFile(file)
    tape.close()
    assert 1 <= len(kept(file)) <= 5  # those that had ended; the one under way is lost
    assert all(len(each.response.body) > 3_000_000 for each in kept(file))


def test_missing_only_sends_one_request_to_the_upstream(file: Path) -> None:
    with fakellm.serve({"rules": [rule("a"), rule("b"), rule("cut", fault={"kind": "close", "frame": 2})]}) as upstream:
        with recording(upstream.base_url, file, "--missing-only") as (recorder, _):
            bodies = [chat(model=model, stream=True) for model in ("a", "a", "cut")]
            first = [receive(recorder.base_url + CHAT, body) for body in bodies]
            assert first[0].replayable == first[1].replayable
        assert [entry.request["model"] for entry in upstream.journal] == ["a", "cut"]
        upstream.reset()
        with recording(upstream.base_url, file, "--missing-only") as (recorder, _):
            bodies = [chat(model=model, stream=True) for model in ("b", "a", "cut")]
            second = [receive(recorder.base_url + CHAT, body) for body in bodies]
            assert [entry.rule for entry in recorder.journal] == ["upstream", f"{file}#1", "upstream"]
        assert [entry.request["model"] for entry in upstream.journal] == ["b", "cut"]  # one that broke off is no answer
    assert second[1].replayable == first[0].replayable
    assert [json.loads(each.request.body)["model"] for each in kept(file)] == ["a", "cut", "b", "cut"]


@pytest.mark.parametrize(("before", "requests"), [(0, 0), (0, 1), (2, 3)])
def test_the_command_says_at_its_end_what_it_recorded(file: Path, before: int, requests: int) -> None:
    file.write_bytes(fakellm_jsonl.dumps_header() + fakellm_jsonl.dump_line(ONE) * before)
    command = [sys.executable, "-m", "fakellm", "record", "-o", str(file), "--port", "0", "--ready", "json"]
    with fakellm.serve() as server:
        process = subprocess.Popen(
            [*command, "--upstream", server.url, "--watch-stdin"], stdin=-1, stdout=-1, stderr=-1, text=True
        )
        assert process.stdout
        url = json.loads(process.stdout.readline())["url"]
        for _ in range(requests):
            receive(url + "/v1" + CHAT, chat())
        output, errors = process.communicate()
    what = "1 interaction" if requests == 1 else f"{requests} interactions"
    more = f", after {before} of before" if before else ""
    assert (output, errors) == ("", f"fakellm recorded {what} in {file}{more}\n")
    assert file.read_bytes().count(b"\n") == 1 + before + requests


def test_the_command_reports_that_a_line_was_cut_off(file: Path) -> None:
    file.write_bytes(fakellm_jsonl.dump(Cassette("r", (ONE, ONE)))[:-5])
    command = [sys.executable, "-m", "fakellm", "record", "--upstream", "http://127.0.0.1:9", "-o", str(file)]
    with subprocess.Popen([*command, "--port", "0", "--watch-stdin"], stdin=-1, stdout=-1, stderr=-1) as process:
        _, output = process.communicate()
    assert f"the last line of {file} was cut off; it is in {file}.broken now" in output.decode()
    assert kept(file) == (ONE,)


@pytest.mark.parametrize(
    ("upstream", "output", "text"),
    [
        ("api.x.ai", "new.jsonl", "Invalid value for '--upstream': 'api.x.ai' is not the base URL of an API"),
        ("http://127.0.0.1:8080/v1", "new.jsonl", "http://127.0.0.1:8080/v1 is where this recorder listens"),
        ("http://x:99999/v1", "new.jsonl", "is not the base URL of an API (Port out of range 0-65535)"),
        ("http://x/v1", "/dev/full", "/dev/full: not a file that can be read again"),
        ("http://x/v1", ".", "not a file that can be read again"),
        ("http://x/v1", "other.yaml", "other.yaml"),
        ("http://x/v1", "absent/new.jsonl", "absent/new.jsonl: cannot record to it: No such file or directory"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, upstream: str, output: str, text: str) -> None:
    (tmp_path / "other.yaml").write_text("interactions: []\n")
    command = [sys.executable, "-m", "fakellm", "record", "--upstream", upstream, "-o", output]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_session_of_a_request_is_recorded(file: Path) -> None:
    with fakellm.serve() as upstream, fakellm.record(upstream.base_url, file) as recorder:
        receive(recorder.session("one").base_url + CHAT, chat())
        receive(recorder.base_url + CHAT, chat())
    first, second = kept(file)
    assert (first.request.session, second.request.session) == ("one", "")
    assert first.request.url == second.request.url == upstream.base_url + CHAT


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/responses", "https://api.openai.com/v1"),
        ("https://api.anthropic.com/v1/messages", "https://api.anthropic.com"),
        ("http://localhost:11434/api/chat", "http://localhost:11434"),
        ("https://openrouter.ai/api/v1", None),
        ("https://x.services.ai.azure.com/models", None),
        ("https://x.services.ai.azure.com/models/chat/completions", "https://x.services.ai.azure.com/models"),
        ("https://api.openai.com/v1/models", "https://api.openai.com/v1"),
        ("https://api.openai.com", None),
    ],
)
def test_an_upstream_that_ends_in_a_route_has_a_base_url(url: str, base: str | None) -> None:
    assert ending_in_a_route(url) == base
