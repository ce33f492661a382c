"""Every transfer delivers the same body, in other pieces and encodings; over real sockets too."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import fakellm
from fakellm.base.errors import ScenarioError
from fakellm.fuzzing.strategies import transfers
from fakellm.recordings.content_codings import CODINGS
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.testing.handle import Handle
from fakellm.wire.http.codings import Coding
from fakellm.wire.http.http1 import bursts, end_of_head, frames_in, head_of
from fakellm.wire.http.segments import within_framing
from fakellm.wire.http.transfer import Transfer, carry
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat, inflated, post, respond
from tests.test_server import head, until_closed

FRAMES = st.lists(st.builds(Frame, st.binary(min_size=1, max_size=40), st.sampled_from((0.0, 0.25, 1.0))), max_size=5)


def sent(frames: list[Frame], transfer: Transfer) -> list[Frame]:
    return list(carry(Plan(200, (), tuple(frames)), transfer).frames)


def unchunked(body: bytes) -> list[bytes]:
    """The HTTP/1.1 chunks of a body, without the last, which is empty, and without the fields after it."""
    chunks: list[bytes] = []
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if not size:
            assert body in (b"\r\n", b"Server-Timing: total;dur=7\r\n\r\n")
            return chunks
        chunks.append(body[:size])
        body = body[size + 2 :]


@given(FRAMES, transfers())
def test_the_same_bytes_arrive_at_the_same_time_however_they_are_sent(frames: list[Frame], transfer: Transfer) -> None:
    pieces = sent(frames, transfer)
    assert all(piece.data for piece in pieces)
    data = [piece.data for piece in pieces]
    for _ in range({False: 0, "twice": 2}.get(transfer.gzip, 1)):
        data = inflated(data)
    assert b"".join(data) == b"".join(frame.data for frame in frames)
    assert sum(piece.delay for piece in pieces) == sum(frame.delay for frame in frames)


@given(FRAMES, transfers())
def test_a_chunked_body_has_an_http_chunk_for_each_piece(frames: list[Frame], transfer: Transfer) -> None:
    plan = carry(Plan(200, (), tuple(frames), delimited="chunked"), transfer)
    written = b"".join(burst.data for burst in bursts(plan))
    body = written[end_of_head(written) :]
    pieces = [frame.data for frame in plan.frames]
    assert (unchunked(body) if plan.delimited == "chunked" else [body]) == (
        pieces if plan.delimited == "chunked" else [b"".join(pieces)]
    )


FOUR = [Frame(b"abc\r\n\r\n", 1.0), Frame("é中\n".encode(), 0.5), Frame(b"d"), Frame(b"ef", 0.25)]


@pytest.mark.parametrize(
    ("transfer", "expected"),
    [
        (Transfer(), FOUR),
        (Transfer(coalesce=3), [Frame("abc\r\n\r\né中\nd".encode(), 1.5), Frame(b"ef", 0.25)]),
        (Transfer(coalesce="all", cut=8), [Frame(b"abc\r\n\r\n\xc3", 1.75), Frame(b"\xa9\xe4\xb8\xad\ndef")]),
        (
            Transfer(cut=(2, 15, 99)),
            [Frame(b"ab", 1.0), Frame(b"c\r\n\r\n"), *FOUR[1:3], Frame(b"e", 0.25), Frame(b"f")],
        ),
        (
            Transfer(cut="inside_characters"),
            [FOUR[0], Frame(b"\xc3", 0.5), Frame(b"\xa9\xe4"), Frame(b"\xb8"), Frame(b"\xad\n"), *FOUR[2:]],
        ),
        (
            Transfer(cut="inside_characters", separate_reads=2),
            [
                FOUR[0],
                Frame(b"\xc3", 0.5),
                Frame(b"\xa9\xe4", separate=True),
                Frame(b"\xb8", separate=True),
                Frame(b"\xad\n"),
                *FOUR[2:],
            ],
        ),
        (Transfer(cut=(7,), separate_reads=9), [FOUR[0], Frame(FOUR[1].data, 0.5, separate=True), *FOUR[2:]]),
        (
            Transfer(cut="inside_line_ends"),
            [Frame(b"abc\r", 1.0), Frame(b"\n"), Frame(b"\r"), Frame(b"\n"), *FOUR[1:]],
        ),
    ],
)
def test_where_a_body_is_cut(transfer: Transfer, expected: list[Frame]) -> None:
    assert sent(FOUR, transfer) == expected


def test_each_frame_can_be_inflated_when_it_arrives() -> None:
    pieces = [piece.data for piece in sent(FOUR, Transfer(gzip=True))]
    assert inflated(pieces) == [frame.data for frame in FOUR]
    assert pieces[0].startswith(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")  # no time and no operating system
    assert [piece.delay for piece in sent(FOUR, Transfer(gzip=True))] == [frame.delay for frame in FOUR]


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd"])
def test_each_frame_can_be_decompressed_in_any_coding_when_it_arrives(coding: Coding) -> None:
    plan = carry(Plan(200, (), tuple(FOUR)), Transfer(encoding=coding))
    assert plan.headers == (("Content-Encoding", coding),)
    readers: dict[Coding, Callable[[], Callable[[bytes], bytes]]] = {
        "deflate": lambda: zlib.decompressobj().decompress,
        "br": lambda: import_module("brotli").Decompressor().process,
        "zstd": lambda: import_module("zstandard").ZstdDecompressor().decompressobj().decompress,
    }
    reader = readers[coding]()
    arrived = [reader(frame.data) for frame in plan.frames]
    assert arrived == [frame.data for frame in FOUR]
    assert [frame.delay for frame in plan.frames] == [frame.delay for frame in FOUR]
    whole = b"".join(frame.data for frame in plan.frames)
    assert CODINGS[coding](whole) == b"".join(frame.data for frame in FOUR)


def test_fields_follow_the_last_chunk_and_are_announced() -> None:
    plan = carry(Plan(200, (), tuple(FOUR), delimited="chunked"), Transfer(trailers={"grpc-status": "0", "x": ""}))
    sent = bursts(plan)
    data = b"".join(burst.data for burst in sent)
    assert b"\r\nTrailer: grpc-status, x\r\n" in data
    assert data.endswith(b"\r\n0\r\ngrpc-status: 0\r\nx: \r\n\r\n")
    assert frames_in(plan, sent) == plan.frames


def test_a_client_reads_a_reply_with_fields_after_it(server: Handle) -> None:
    for transfer in (Transfer(trailers={"grpc-status": "0"}), Transfer(trailers={"x": "y"}, gzip=True)):
        loaded(server, f"trailers-{transfer.gzip}", transfer)
        url = f"{server.url}/s/trailers-{transfer.gzip}/v1/chat/completions"
        with httpx2.Client() as client:  # the connection is used again
            bodies = [client.post(url, content=chat(stream=True)).content for _ in range(2)]
        assert bodies[0] == bodies[1]
        assert bodies[0].endswith(b"data: [DONE]\n\n")


def test_pieces_that_are_not_chunks_are_separate_writes() -> None:
    plan = Plan(200, (), (Frame(b"a"), Frame(b"b"), Frame(b"c", 1.0)))
    assert [(burst.data[-1:], burst.frames, burst.delay) for burst in bursts(plan)] == [
        (b"a", 1, 0.0),
        (b"b", 1, 0.0),
        (b"c", 1, 1.0),
    ]


def answered(transfer: Transfer, body: bytes) -> tuple[bytes, bytes]:
    """The head and the body of the response to a request, as they are sent."""
    rule = fakellm.Rule(reply=fakellm.Reply(content="Hi"), stream=fakellm.Variation(transfer=transfer))
    answer = respond(App(load(rule)), HttpRequest("POST", "/v1/chat/completions", body))
    top, _, rest = b"".join(burst.data for burst in bursts(answer.plan)).partition(b"\r\n\r\n")
    return top, rest


@pytest.mark.parametrize(
    ("transfer", "there", "missing"),
    [
        (Transfer(), b"\r\nContent-Type: text/event-stream; charset=utf-8\r\n", b"Connection"),
        (Transfer(), b"\r\nTransfer-Encoding: chunked", b"Content-Length"),
        (Transfer(body="length"), b"\r\nContent-Length: ", b"Transfer-Encoding"),
        (Transfer(body="close"), b"\r\nConnection: close", b"Content-Length"),
        (Transfer(gzip=True), b"\r\nContent-Encoding: gzip\r\n", b"Content-Length"),
        (Transfer(content_type="text/event-stream;charset=UTF-8"), b"text/event-stream;charset=UTF-8", b"; charset"),
        (Transfer(content_type=None), b"\r\nCache-Control", b"Content-Type"),
        (Transfer(header_case="lower"), b"\r\ncontent-type: ", b"Content-Type"),
        (Transfer(header_case="title"), b"\r\nX-Fakellm-Seed: 0", b"x-fakellm-seed"),
        (Transfer(header_case="upper"), b"\r\nTRANSFER-ENCODING: chunked", b"Transfer-Encoding"),
        (Transfer(head="bare"), b"HTTP/1.1 200 \r\nContent-Type:text/", b"OK"),
        (Transfer(head="padded"), b"\r\nTransfer-Encoding: \t chunked", b"Transfer-Encoding: chunked"),
    ],
)
def test_the_head_of_a_stream(transfer: Transfer, there: bytes, missing: bytes) -> None:
    top, _ = answered(transfer, chat(stream=True))
    assert there in top
    assert missing not in top


def test_interim_responses_come_before_the_head_but_not_in_http_1_0() -> None:
    rule = fakellm.Rule(reply=fakellm.Reply(content="Hi"), stream=fakellm.Variation(transfer=Transfer(head="interim")))
    response = respond(App(load(rule)), HttpRequest("POST", "/v1/chat/completions", chat(stream=True)))
    plain = b"".join(burst.data for burst in bursts(replace(response.plan, head=None)))
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"".join(burst.data for burst in response.bursts) == interim + interim + plain
    assert response.body.startswith(b"data: {")
    assert head_of(response.bursts).data.endswith(b"\r\n\r\n")
    assert not bursts(response.plan, http_1_0=True)[0].data.startswith(interim)


def test_a_response_is_cut_within_its_framing() -> None:
    plan = Plan(200, (), (Frame(b"data: 1\n\n"), Frame(b"[DONE]")), "chunked", cut_framing=True)
    pieces = list(within_framing(bursts(plan), chunked=True))
    assert [piece.data for piece in pieces] == [
        b"HTTP/1.1 200",
        b" OK\r\nTransfer-Encoding: chunked\r\n\r",
        b"\n9\r",
        b"\ndata: 1\n\n",
        b"\r",
        b"\n6\r\n[DONE]\r\n0\r\n\r\n",
    ]
    assert [piece.separate for piece in pieces] == [False, *[True] * 5]
    assert [piece.frames for piece in pieces] == [*[0] * 5, 2]


def test_a_whole_body_is_sent_in_the_same_ways() -> None:
    _, plain = answered(Transfer(), chat())
    top, body = answered(Transfer(body="chunked", cut=7, content_type=None, header_case="lower"), chat())
    assert b"".join(unchunked(body)) == plain
    assert {len(chunk) for chunk in unchunked(body)[:-1]} == {7}
    assert b"\r\ncontent-type: application/json\r\n" in top  # `content_type` speaks of streams
    top, body = answered(Transfer(gzip=True), chat())
    assert inflated([body]) == [plain]
    assert f"Content-Length: {len(body)}".encode() in top


@pytest.mark.parametrize(
    ("transfer", "problem"),
    [
        ("{cut: 0}", "cut: "),
        ("{separate_reads: 2}", "separate_reads: reads are separated at cuts: set 'cut' too"),
        ("{cut: inside_words}", "cut: "),
        (
            "{gzip: true, cut: inside_characters}",
            "cut: a compressed body has no characters to cut: use numbers, or no",
        ),
        ("{encoding: zstd, cut: inside_line_ends}", "cut: a compressed body has no line_ends to cut"),
        ("{encoding: br, gzip: true}", "encoding: 'encoding' beside 'gzip': a body is compressed once"),
        ("{trailers: {a b: c}}", "trailers"),
        ('{trailers: {a: "b\\r\\nc"}}', "trailers"),
        ("{trailers: {a: b}, body: length}", "trailers: only a chunked body has fields after it"),
        ("{encoding: lzma}", "encoding: 'lzma' is not one of deflate, br, zstd"),
        ('{content_type: "a\\r\\nb"}', "content_type: a header must be visible ASCII"),
        ('{content_type: ""}', "content_type: a header must be visible ASCII"),
        ("{body: lenght}", "body: 'lenght' is not one of chunked, length, close"),
    ],
)
def test_an_impossible_transfer_is_refused(transfer: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        load(f"rules:\n- reply: {{}}\n  stream: {{transfer: {transfer}}}\n")
    assert f"rules[0].stream.transfer.{problem}" in str(refused.value)


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as running:
        yield running


def loaded(server: Handle, name: str, transfer: Transfer) -> Handle:
    session = server.session(name)
    session.load(fakellm.Rule(reply=fakellm.Reply(content="één 中 👩"), stream=fakellm.Variation(transfer=transfer)))
    return session


def raw_reply(session: Handle, body: bytes, *, version: str = "1.1", connection: str = "close") -> tuple[bytes, bytes]:
    """The head and the body of a reply, as they are on the wire."""
    host, port, path = session.url.removeprefix("http://").replace("/", ":", 1).split(":")
    request = head(body, version, f"Connection: {connection}").replace(b" /v1/", f" /{path}/v1/".encode())
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(request + body)
        top, _, rest = until_closed(peer).partition(b"\r\n\r\n")
    return top, rest


@pytest.mark.parametrize(
    "transfer",
    [
        Transfer(body=body, gzip=gzip, cut=3, header_case="upper")
        for body in ("chunked", "length", "close")
        for gzip in (False, True)
    ],
    ids=lambda transfer: f"{transfer.body}-{transfer.gzip}",
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_reads_every_body(server: Handle, transfer: Transfer, stream: bool) -> None:
    session = loaded(server, "every", transfer)
    plain = loaded(server, "plain", Transfer())
    reply = post(session.base_url + "/chat/completions", chat(stream=stream))
    assert reply.content == post(plain.base_url + "/chat/completions", chat(stream=stream)).content
    assert b"CONTENT-TYPE" in [name for name, _ in reply.headers.raw]
    assert session.journal[0].outcome == "sent"


def test_a_body_that_ends_with_the_connection(server: Handle) -> None:
    session = loaded(server, "close", Transfer(body="close"))
    top, body = raw_reply(session, chat(stream=True), connection="keep-alive")
    assert b"\r\nConnection: close" in top
    assert b"Transfer-Encoding" not in top
    assert body.endswith(b"data: [DONE]\n\n")
    assert raw_reply(session, chat(), connection="keep-alive")[1].endswith(b"}\n")


def test_http_1_0_keeps_a_content_length(server: Handle) -> None:
    top, body = raw_reply(loaded(server, "old", Transfer(body="length")), chat(stream=True), version="1.0")
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in top


def test_each_http_chunk_of_a_compressed_stream_is_an_event(server: Handle) -> None:
    _, body = raw_reply(loaded(server, "gzip", Transfer(gzip=True)), chat(stream=True))
    events = inflated(unchunked(body))
    assert len(events) == 6  # role, three tokens, finish, [DONE]
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)


def test_connections_are_kept_unless_the_body_ends_with_them(server: Handle) -> None:
    opened = {}
    for body in ("chunked", "length", "close"):
        session = loaded(server, "kept", Transfer(body=body))
        with httpx2.Client() as client:
            url = session.base_url + "/chat/completions"
            streams = [client.post(url, content=chat(stream=True)).extensions["network_stream"] for _ in range(3)]
        opened[body] = len({id(stream.get_extra_info("socket")) for stream in streams})
    assert opened == {"chunked": 1, "length": 1, "close": 3}


def whole(stream: str, timing: str = "{}") -> Plan:
    text = f"rules:\n- reply: {{content: Hi}}\n  stream: {{transfer: {stream}}}\n  timing: {timing}\n"
    return respond(App(load(text)), HttpRequest("POST", "/v1/chat/completions", chat())).plan


def test_a_whole_body_is_between_margins() -> None:
    plain = whole("{}").body
    assert whole('{margins: ["\\n  \\n", ""]}').body == b"\n  \n" + plain.rstrip()
    assert whole('{margins: ["", ""]}').body == plain.rstrip()


def test_the_white_space_before_a_slow_body_comes_line_by_line() -> None:
    plan = whole('{margins: ["\\n  \\n", "\\n"]}', "{first: 3}")
    *blank, body = plan.frames
    assert [frame.data for frame in blank] == [b"\n", b"  \n"]
    assert body.data.startswith(b"{")
    assert sum(frame.delay for frame in plan.frames) == pytest.approx(
        sum(frame.delay for frame in whole("{}", "{first: 3}").frames)
    )
    assert len({frame.delay for frame in plan.frames}) == 1


def test_a_margin_is_white_space() -> None:
    with pytest.raises(ScenarioError, match="margins: margins must be white space that JSON allows"):
        whole('{margins: ["x", ""]}')
