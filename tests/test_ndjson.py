"""NDJSON: lines become events and back, however the bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.wire.framing import Framing, Insert, frame
from fakellm.wire.kinds import NDJSON, SSE, kind_of
from fakellm.wire.ndjson import LineDecoder, lines
from fakellm.wire.sse import Event

VALUES = st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=2), max_size=5)
FRAMINGS = st.builds(
    Framing,
    line_end=st.sampled_from(["lf", "crlf"]),
    insert=st.lists(st.builds(Insert, before=st.just((0, 2))), max_size=1).map(tuple),
    ends_with=st.sampled_from(["blank_line", "nothing"]),
)


@given(VALUES, FRAMINGS, st.data())
def test_what_is_framed_is_decoded_however_it_is_cut(
    values: list[dict[str, str]], framing: Framing, data: st.DataObject
) -> None:
    events = [Event(json.dumps(value)) for value in values]
    body = b"".join(frame(events, lines(framing)))
    assert NDJSON.events(body) == events
    cut = data.draw(st.integers(0, len(body)))
    decoder = LineDecoder()
    assert decoder.feed(body[:cut]) + decoder.feed(body[cut:]) + decoder.finish() == events
    by_byte = LineDecoder()
    assert [each for byte in body for each in by_byte.feed(bytes([byte]))] + by_byte.finish() == events


@given(VALUES.filter(bool), FRAMINGS)
def test_the_framing_of_lines_is_read_back(values: list[dict[str, str]], framing: Framing) -> None:
    events = [Event(json.dumps(value)) for value in values]
    pieces = NDJSON.blocks(b"".join(frame(events, lines(framing))))
    assert b"".join(frame(events, lines(NDJSON.framing(pieces)))) == b"".join(pieces)


def test_only_line_feeds_end_a_line() -> None:
    text = json.dumps("a\u2028b\x85c\x0bd", ensure_ascii=False)
    assert NDJSON.events(f"{text}\n\r\n{text}\r\n{text}".encode()) == [Event(text)] * 3


@given(st.binary())
def test_any_bytes_are_read(body: bytes) -> None:
    assert b"".join(NDJSON.blocks(body)) == body
    NDJSON.events(body)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("text/event-stream; charset=utf-8", SSE),
        ("Application/X-NDJSON", NDJSON),
        ("application/json", None),
        ("", None),
    ],
)
def test_the_content_type_decides(content_type: str, kind: object) -> None:
    assert kind_of(content_type) is kind
