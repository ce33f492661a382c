"""NDJSON: lines come back whatever they are cut into, and nothing but LF and CRLF ends one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.wire.framing import Framing, Insert, frame
from fakellm.wire.kinds import NDJSON, SSE, kind_of
from fakellm.wire.ndjson import LineDecoder, blocks, lines, unframed
from fakellm.wire.sse import Event

VALUES = st.lists(st.text(max_size=9).map(json.dumps) | st.text(max_size=5).map(lambda text: f"[{json.dumps(text)}]"))
FRAMINGS = st.builds(
    Framing,
    line_end=st.sampled_from(["lf", "crlf", "cr", "mixed"]),
    ids=st.booleans(),
    insert=st.lists(st.builds(Insert, before=st.lists(st.integers(0, 5), max_size=3).map(tuple)), max_size=2).map(
        tuple
    ),
    ends_with=st.sampled_from(["blank_line", "line_end", "nothing"]),
)


@given(VALUES, FRAMINGS, st.lists(st.integers(0, 300)))
def test_lines_come_back_cut_anywhere(values: list[str], framing: Framing, cuts: list[int]) -> None:
    data = b"".join(frame([Event(value) for value in values], lines(framing)))
    decoder, found, start = LineDecoder(), [], 0
    for end in [*sorted(cuts), len(data)]:
        found += decoder.feed(data[start:end])
        start = max(start, end)
    assert [event.data for event in found + decoder.finish()] == values
    assert b"".join(blocks(data)) == data


@given(VALUES, FRAMINGS)
def test_the_framing_of_lines_is_read_back(values: list[str], framing: Framing) -> None:
    events = [Event(value) for value in values]
    pieces = frame(events, lines(framing))
    assert frame(events, lines(unframed(pieces))) == pieces


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{}\n\n\r\n[]\r\n", ["{}", "[]"]),
        (b"1\n2", ["1", "2"]),
        ('"a\u2028b\u0085c"\n'.encode(), ['"a\u2028b\u0085c"']),
        (b'"a\rb"\n', ['"a\rb"']),
        (b"", []),
        (b" \n", []),
    ],
)
def test_what_ends_a_line(data: bytes, expected: list[str]) -> None:
    assert [event.data for event in NDJSON.events(data)] == expected


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/x-ndjson", NDJSON),
        ("Application/X-NDJSON; charset=utf-8", NDJSON),
        ("text/event-stream", SSE),
        ("application/json", None),
        ("", None),
    ],
)
def test_the_type_shows_the_kind_of_a_stream(content_type: str, kind: object) -> None:
    assert kind_of(content_type) is kind
