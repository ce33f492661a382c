"""The server over real sockets: how frames leave, what is refused before it is read, what becomes of a connection."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import brotli  # type: ignore[import-untyped]  # it has no types
import httpx2
import pytest
import zstandard

import fakellm
from fakellm.base.errors import RequestError
from fakellm.recordings import content_codings
from fakellm.server import request_body
from fakellm.server.connections.listening import listen
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App
from fakellm.testing.handle import Handle
from fakellm.wire.http.http1 import bursts
from tests.conftest import chat, post, respond

HELLO = {"rules": [{"reply": {"content": "One two three"}, "when": {"model": "m"}}]}


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(HELLO) as running:
        yield running


@pytest.fixture
def raw(server: Handle) -> Iterator[socket.socket]:
    """A plain TCP connection to the server."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def head(body: bytes, version: str = "1.1", *lines: str) -> bytes:
    headers = ["Host: x", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([f"POST /v1/chat/completions HTTP/{version}", *headers, "", ""]).encode()


def until_closed(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_each_frame_is_an_http_chunk_of_its_own(raw: socket.socket) -> None:
    body = chat(stream=True)
    raw.sendall(head(body, "1.1", "Connection: close") + body)
    headers, _, rest = until_closed(raw).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in headers
    chunks = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        chunk, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        chunks.append(chunk)
    assert chunks.pop() == b""
    assert len(chunks) == 6  # role, three tokens, finish, [DONE]
    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)


def test_frames_due_at_once_leave_in_one_write() -> None:
    from fakellm.scenarios.loader import load
    from fakellm.server.scenario_app import App, HttpRequest

    answer = respond(App(load(HELLO)), HttpRequest("POST", "/v1/chat/completions", chat(stream=True)))
    assert [(burst.frames, burst.delay) for burst in bursts(answer.plan)] == [(6, 0.0)]
    paced = {"rules": [{"reply": {"content": "A B"}, "timing": {"first": 1, "gap": 0.5}}]}
    answer = respond(App(load(paced)), HttpRequest("POST", "/v1/chat/completions", chat(stream=True)))
    assert [(burst.frames, burst.delay) for burst in bursts(answer.plan)] == [(0, 0.0), (1, 1.0)] + [(1, 0.5)] * 4


def test_http_1_0_gets_a_body_that_ends_with_the_connection(raw: socket.socket) -> None:
    body = chat(stream=True)
    raw.sendall(head(body, "1.0") + body)
    headers, _, rest = until_closed(raw).partition(b"\r\n\r\n")
    assert b"chunked" not in headers
    assert rest.startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")


def test_a_connection_is_kept_alive_over_streams_bodies_and_errors(server: Handle) -> None:
    with httpx2.Client(base_url=server.url) as client:
        for body in (chat(stream=True), chat(), b"{", chat()):
            client.post("/v1/chat/completions", content=body)
        streams = {
            id(
                client.post("/v1/chat/completions", content=chat())
                .extensions["network_stream"]
                .get_extra_info("socket")
            )
            for _ in range(3)
        }
    assert len(streams) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/models", 405), ("/v1/chat/completions", 405), ("/nowhere", 404), ("/_fakellm/health", 200)],
)
def test_head_gets_no_body(raw: socket.socket, server: Handle, path: str, status: int) -> None:
    """Else the next response on the connection would start with it."""
    lines = "Host: x\r\n"
    raw.sendall(f"HEAD {path} HTTP/1.1\r\n{lines}\r\n".encode())
    raw.sendall(f"GET /v1/models HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    first, second, body = until_closed(raw).split(b"\r\n\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ".encode())
    assert second.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(body)["object"] == "list"


def test_requests_in_one_packet_are_answered_in_order(raw: socket.socket) -> None:
    first, second = chat(), chat(stream=True)
    raw.sendall(head(first) + first + head(second, "1.1", "Connection: close") + second)
    reply = until_closed(raw)
    assert reply.index(b'"object": "chat.completion"') < reply.index(b'"object":"chat.completion.chunk"')


def test_every_reply_names_its_rule_and_seed(server: Handle) -> None:
    reply = post(server.base_url + "/chat/completions", chat())
    assert (reply.headers["x-fakellm-rule"], reply.headers["x-fakellm-seed"]) == ("scenario#1", "0")
    named = server.session("named")
    named.load({"scenario": "ünï\r\nx: y", "rules": [{"reply": {}}]})
    reply = post(named.base_url + "/chat/completions", chat())
    assert reply.headers["x-fakellm-rule"] == "%C3%BCn%C3%AF%0D%0Ax: y#1"


def test_a_prompt_of_several_megabytes_is_normal(server: Handle) -> None:
    body = chat(messages=[{"role": "user", "content": "word " * 2_000_000}])
    assert post(server.base_url + "/chat/completions", body).status_code == 200


def test_curl_waits_for_permission_to_send_a_large_body(raw: socket.socket) -> None:
    body = chat()
    raw.sendall(head(body, "1.1", "Expect: 100-continue", "Connection: close"))
    assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    raw.sendall(body)
    assert until_closed(raw).startswith(b"HTTP/1.1 200 OK\r\n")


def error_of(reply: bytes) -> tuple[int, dict[str, object]]:
    headers, _, body = reply.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in headers.lower()
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(headers.split()[1]), error


def test_a_body_over_the_limit_is_refused(raw: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "MOST_BYTES", 1000)
    raw.sendall(head(b"x" * 1001, "1.1", "Connection: close") + b"x" * 1001)
    status, error = error_of(until_closed(raw))
    assert (status, error["code"]) == (413, "request_too_large")
    assert error["message"] == "The body of your request exceeds 1,000 bytes."


def test_a_chunked_body_over_the_limit_is_refused(server: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "MOST_BYTES", 1000)
    reply = httpx2.post(server.base_url + "/chat/completions", content=iter([b"x" * 600] * 3))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")
    monkeypatch.undo()
    assert post(server.base_url + "/chat/completions", chat()).status_code == 200


def test_a_damaged_body_is_refused(raw: socket.socket) -> None:
    raw.sendall(head(b"not gzip", "1.1", "Content-Encoding: gzip", "Connection: close") + b"not gzip")
    status, error = error_of(until_closed(raw))
    assert (status, error["code"]) == (400, "invalid_body")


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
    "gzip of two members": lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:]),
    "zstd of two frames": lambda body: (
        zstandard.ZstdCompressor().compress(body[:7]) + zstandard.ZstdCompressor().compress(body[7:])
    ),
    "gzip, zstd": lambda body: zstandard.ZstdCompressor().compress(gzip.compress(body)),
}


@pytest.mark.parametrize("size", [0, 200_000])
@pytest.mark.parametrize("coding", CODERS)
def test_a_compressed_body_is_read(server: Handle, coding: str, size: int) -> None:
    body = chat(user="".join(map(chr, range(0x4E00, 0x4E00 + size // 20))))
    header = coding.partition(" of ")[0]
    reply = post(server.base_url + "/chat/completions", CODERS[coding](body), **{"content-encoding": header})
    assert (reply.status_code, reply.json()["object"]) == (200, "chat.completion")


@pytest.mark.parametrize("coding", [each for each in CODERS if each != "identity" and " of " not in each])
def test_a_damaged_body_says_which_coding(server: Handle, coding: str) -> None:
    reply = post(server.base_url + "/chat/completions", b"neither of them", **{"content-encoding": coding})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_body")
    last = coding.rpartition(", ")[2]
    message = f"The body of your request is damaged: Content-Encoding is {coding!r}, and it is not valid {last}: "
    assert reply.json()["error"]["message"].startswith(message)


def test_an_unknown_coding_gets_the_known_ones(server: Handle) -> None:
    reply = post(server.base_url + "/chat/completions", b"x", **{"content-encoding": "snappy"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_content_encoding")
    assert reply.json()["error"]["message"] == (
        "Cannot read the body of your request: Content-Encoding is 'snappy'; 'snappy' is not a content coding known "
        "here. Supported are gzip, x-gzip, deflate, br, zstd, identity; br and zstd need the extra: pip install "
        "'fakellm-server[codings]'."
    )


def test_a_body_has_few_codings(server: Handle) -> None:
    reply = post(server.base_url + "/chat/completions", chat(), **{"content-encoding": "identity,identity"})
    assert reply.status_code == 200
    reply = post(server.base_url + "/chat/completions", chat(), **{"content-encoding": "identity," * 600 + "identity"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_content_encoding")
    assert "a body may have 4 codings, and this one has 601" in reply.json()["error"]["message"]


@pytest.mark.parametrize(("coding", "package"), [("br", "brotli"), ("zstd", "zstandard")])
def test_a_coding_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, coding: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RequestError) as caught:
        request_body.decoded(b"x", coding)
    assert caught.value.status == 415
    remedy = f"{coding!r} needs the package {package}, which is not installed"
    assert f"Content-Encoding is {coding!r}; {remedy}. Supported are gzip, " in caught.value.message
    assert caught.value.message.endswith("br and zstd need the extra: pip install 'fakellm-server[codings]'.")


def test_a_small_body_that_expands_to_a_huge_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_codings, "MOST_BYTES", 1_000)
    monkeypatch.setattr(request_body, "MOST_BYTES", 1_000)
    for coding in ("gzip", "br", "zstd", "gzip of two members", "zstd of two frames"):
        with pytest.raises(RequestError, match="exceeds 1,000 bytes"):
            request_body.decoded(CODERS[coding](bytes(100_000)), coding.partition(" of ")[0])
    for coding in ("gzip", "zstd"):
        with pytest.raises(RequestError, match="exceeds 1,000 bytes"):
            request_body.decoded(CODERS[coding](bytes(100)) * 1_000, coding)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_damaged_last_part_of_a_compressed_body_is_refused(coding: str) -> None:
    for rest in (b"rubbish", CODERS[coding](b"cut off")[:-3]):
        with pytest.raises(RequestError, match=f"it is not valid {coding}"):
            request_body.decoded(CODERS[coding](chat()) + rest, coding)


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01 TLS\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_not_http_is_refused_in_json(raw: socket.socket, data: bytes) -> None:
    raw.sendall(data)
    status, error = error_of(until_closed(raw))
    assert (status, error["code"], error["type"]) == (400, "invalid_http", "invalid_request_error")


def test_strict_names_the_nearest_rule_and_what_differed() -> None:
    rules = {
        "rules": [
            {"when": {"model": "x", "turn": 2}, "reply": {}},
            {"name": "near", "when": {"model": "gpt-*"}, "reply": {}},
        ]
    }
    with fakellm.serve(rules, strict=True) as server:
        reply = post(server.base_url + "/chat/completions", chat())
        assert (reply.status_code, reply.headers["x-should-retry"]) == (404, "false")
        error = reply.json()["error"]
        assert error == {
            "message": "No rule matches this request. The nearest is 'near'; it differs in model: expected 'gpt-*', got 'm'.",
            "type": "invalid_request_error",
            "param": None,
            "code": "no_matching_rule",
        }
        entry = server.journal[0]
        assert (entry.matched, entry.rule, entry.status, entry.explanation) == (False, None, 404, error["message"])


def test_without_strict_the_journal_still_reports(caplog: pytest.LogCaptureFixture) -> None:
    with fakellm.serve({"rules": [{"when": {"turn": 2}, "reply": {}}]}) as server:
        reply = post(server.base_url + "/chat/completions", chat())
        assert reply.headers["x-fakellm-rule"] == "generated"
        entry = server.journal[0]
        assert (entry.matched, entry.rule) == (False, "generated")
        assert entry.explanation == "The nearest is 'scenario#1'; it differs in turn: expected 2, got 1."
    assert "it differs in turn: expected 2, got 1." in caplog.text


def test_models(server: Handle) -> None:
    listed = httpx2.get(server.base_url + "/models").json()
    assert [model["id"] for model in listed["data"]] == ["m"]
    assert set(listed["data"][0]) == {"id", "object", "created", "owned_by"}


def test_a_session_is_isolated(server: Handle) -> None:
    one, other = server.session("one"), server.session("a b/ü")
    other.load({"scenario": "other", "rules": [{"reply": {"content": "Other"}}]})
    replies = [post(session.base_url + "/chat/completions", chat()).json() for session in (one, other)]
    assert [reply["choices"][0]["message"]["content"] for reply in replies] == ["One two three", "Other"]
    assert [len(session.journal) for session in (one, other)] == [1, 1]
    before = len(server.journal)
    post(one.base_url + "/chat/completions", chat())
    assert len(server.journal) == before
    assert (one.health()["scenario"], other.health()["scenario"]) == ("scenario", "other")
    other.reset()
    assert (len(other.journal), other.health()["scenario"]) == (0, "scenario")


def test_a_bad_scenario_leaves_the_one_there(server: Handle) -> None:
    session = server.session("bad")
    session.load({"scenario": "good", "rules": []})
    reply = httpx2.put(session.url + "/_fakellm/scenario", content=b"rules: 3")
    assert reply.json()["error"]["message"] == "scenario:1:8: rules: expected array, got integer"
    assert session.health()["scenario"] == "good"


def test_the_journal_keeps_each_request_and_its_outcome(server: Handle) -> None:
    session = server.session("journal")
    post(session.base_url + "/chat/completions", chat(stream=True))
    post(session.base_url + "/chat/completions", b"{")
    post(session.url + "/nothing", chat())
    first, second, third = session.journal
    assert (first.number, first.method, first.path) == (1, "POST", "/s/journal/v1/chat/completions")
    assert first.request == json.loads(chat(stream=True))
    assert (first.rule, first.status, first.frames, first.frames_sent, first.outcome) == (
        "scenario#1",
        200,
        6,
        6,
        "sent",
    )
    assert (second.request, second.status, second.rule) == ("{", 400, None)
    assert (third.status, third.number, third.matched, third.request) == (404, 3, False, json.loads(chat()))


def test_many_at_once(server: Handle) -> None:
    session = server.session("many")
    with ThreadPoolExecutor(20) as pool:
        replies = list(
            pool.map(lambda _: post(session.base_url + "/chat/completions", chat(stream=True)).content, range(100))
        )
    assert len(set(replies)) == 1
    assert sorted(entry.number for entry in session.journal) == list(range(1, 101))


def test_many_connections_can_wait_to_be_accepted() -> None:
    async def everything() -> None:
        server = Server(App())
        port = int((await server.start(listen("127.0.0.1", 0))).rpartition(":")[2])
        with ExitStack() as stack:
            for _ in range(200):  # nothing accepts them yet, because this is the thread of the loop
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        await server.stop(grace=0)

    asyncio.run(everything())


def test_a_bug_of_ours_is_reported_as_a_server_error(server: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("fakellm.engine.engine.render", broken)
    reply = post(server.session("broken").base_url + "/chat/completions", chat(seed=1))
    assert reply.status_code == 500
    assert reply.json()["error"]["type"] == "server_error"
    assert "ZeroDivisionError('by nothing')" in reply.json()["error"]["message"]
