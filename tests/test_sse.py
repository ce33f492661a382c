"""Encoded events are decoded again, however the bytes are cut, and the examples of the standard hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.wire.framing import Framing, frame
from fakellm.wire.sse import Decoder, Event, from_the_end

# A line end inside data becomes LF on the way; ids and types are single lines.
DATA = st.text().map(lambda text: text.replace("\r\n", "\n").replace("\r", "\n"))
EVENTS = st.lists(st.builds(Event, DATA, st.sampled_from(("message", "error", "ping"))), max_size=5)


def decode(*pieces: bytes) -> list[Event]:
    decoder = Decoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def every_way(data: bytes) -> list[list[Event]]:
    """Decoded whole, byte by byte, cut in two at every place, and followed by the start of another line."""
    singles = [data[i : i + 1] for i in range(len(data))]
    halves = [decode(data[:i], data[i:]) for i in range(len(data) + 1)]
    return [decode(data), decode(*singles), *halves, decode(data, b"data: unfin")]


@given(EVENTS)
def test_events_come_back_however_the_bytes_are_cut(events: list[Event]) -> None:
    data = b"".join(frame(events, Framing()))
    assert all(decoded == events for decoded in every_way(data))


@given(EVENTS, st.sampled_from((b"\n", b"\r", b"\r\n")))
def test_line_ends_are_all_the_same(events: list[Event], line_end: bytes) -> None:
    data = b"".join(frame(events, Framing())).replace(b"\n", line_end)
    assert all(decoded == events for decoded in every_way(data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # https://html.spec.whatwg.org/multipage/server-sent-events.html, the examples of section 9.2.6
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
            [Event("first event", id="1"), Event("second event")],  # the third has no blank line
        ),
        (b"data\n\ndata\ndata\n\ndata:", [Event(""), Event("\n")]),
        (b"data:test\n\ndata: test\n\n", [Event("test"), Event("test")]),
        # what clients get wrong
        (b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n", [Event("1")]),  # one mark at the start, and no more
        (b"id: 7\n\nretry: 9\n\n: ping\n\ndata: x\n\n", [Event("x", id="7")]),  # meta-only blocks are not events
        (b"id: 1\ndata: x\n\n: ping\n\n", [Event("x", id="1")]),  # nor is a comment once an id was seen
        (b"id: a\0b\ndata: x\n\n", [Event("x")]),
        (b"event: error\n\ndata: x\n\n", [Event("x")]),  # a type without data is forgotten
        (b"error: x\nunknown\ndata: y\n\n", [Event("y")]),
        (b"data: a\r\rdata: b\r\n\r\n\n\ndata: c\n\r\n", [Event("a"), Event("b"), Event("c")]),
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), [Event("a\u2028b\x85c\x0bd")]),  # only CR and LF end a line
        (b"data: \xff\n\n", [Event("\ufffd")]),
    ],
)
def test_streams_of_the_standard_and_of_the_wild(data: bytes, expected: list[Event]) -> None:
    assert all(decoded == expected for decoded in every_way(data)[:-1])


def test_an_event_is_returned_as_soon_as_its_blank_line_ends() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: x\r\n\r") == [Event("x")]
    assert decoder.feed(b"\ndata: y\n\n") == [Event("y")]


@pytest.mark.parametrize("data", [b"data: x", b"data: x\n", b"d"])
def test_an_unfinished_event_is_reported(data: bytes) -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: whole\n\n") == [Event("whole")]
    assert not decoder.unfinished
    assert decoder.feed(data) == []
    assert decoder.unfinished


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    # 3 MB, byte by byte: a decoder that copies what it holds at each byte would take hours
    assert len(decode(b"data: ", *[b"x"] * 3_000_000, b"\n\n")[0].data) == 3_000_000


@given(
    st.lists(st.sampled_from(["data: a", "data:", "event: b", ": c", "", "", "\ufeffdata: d"]), max_size=12),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.sampled_from(["", "\n", "\r\n"]),
)
def test_events_are_decoded_from_the_end_as_from_the_start(lines: list[str], end: str, last: str) -> None:
    data = (end.join(lines) + last).encode()
    assert list(from_the_end(data)) == Decoder().feed(data)[::-1]
