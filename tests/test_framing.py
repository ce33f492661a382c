"""Every framing gives back the same events, plus exactly those that it inserts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.base.errors import ScenarioError
from fakellm.fuzzing.strategies import framings
from fakellm.scenarios.loader import load
from fakellm.wire.framing import Framing, Insert, blocks, encode, frame
from fakellm.wire.sse import Event
from tests.test_sse import DATA, decode

EVENTS = st.lists(st.builds(Event, DATA, st.sampled_from(("message", "error", "ping"))), min_size=1, max_size=5)


def read_by_a_client(events: list[Event], framing: Framing) -> list[tuple[str, str]]:
    """What a reader gets: types and data. A line break after a comma, one more than the data has, is where JSON was broken
    into lines, and with `space: two` a space is before JSON."""
    before_json = re.compile(r"(?m)^ (?=\{)" if framing.space == "two" else r"(?!)")
    return [(event.event, re.sub(r",\n+", ",", before_json.sub("", event.data))) for event in events]


def expected(events: list[Event], framing: Framing) -> list[Event]:
    """The events and the inserted ones, each before the event with its number."""
    result = []
    for number in range(len(events) + 1):
        for insert in framing.insert:
            places = range(len(events)) if insert.before == "every" else insert.before
            times = sum(min(place, len(events)) == number for place in places)
            if insert.data is not None:
                data = insert.data.replace("\r\n", "\n").replace("\r", "\n")
                result += [Event(data, insert.event or "message")] * times
        result += events[number : number + 1]
    return result


@given(EVENTS, framings(strict_sse=True))
def test_the_same_events_come_back_under_every_framing(events: list[Event], framing: Framing) -> None:
    pieces = frame(events, framing)
    body = b"".join(pieces)
    for way in (pieces, [body], [body[i : i + 1] for i in range(len(body))]):
        assert read_by_a_client(decode(*way), framing) == read_by_a_client(expected(events, framing), framing)


@given(EVENTS, framings(strict_sse=True))
def test_a_piece_for_each_event_and_for_each_block(events: list[Event], framing: Framing) -> None:
    inserted = sum(len(events) if each.before == "every" else len(each.before) for each in framing.insert)
    pieces = frame(events, framing)
    assert len(pieces) == len(events) + inserted
    assert all(pieces)


def test_the_plain_framing_is_the_usual_spelling() -> None:
    events = [Event("a\r\nb"), Event("", event="ping", id="7")]
    assert frame(events, Framing()) == [b"data: a\ndata: b\n\n", b"event: ping\nid: 7\ndata: \n\n"]


@given(framings(strict_sse=True))
def test_no_events_but_those_inserted(framing: Framing) -> None:
    assert read_by_a_client(decode(*frame([], framing)), framing) == read_by_a_client(expected([], framing), framing)


TWO = [Event('{"a": "x, y", "b": 1}'), Event("[DONE]")]


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (Framing(), b'data: {"a": "x, y", "b": 1}\n\ndata: [DONE]\n\n'),
        (Framing(line_end="crlf"), b'data: {"a": "x, y", "b": 1}\r\n\r\ndata: [DONE]\r\n\r\n'),
        (Framing(line_end="cr"), b'data: {"a": "x, y", "b": 1}\r\rdata: [DONE]\r\r'),
        (Framing(line_end="mixed"), b'data: {"a": "x, y", "b": 1}\n\rdata: [DONE]\r\n\n'),
        (Framing(space=False), b'data:{"a": "x, y", "b": 1}\n\ndata:[DONE]\n\n'),
        (Framing(bom=True), b'\xef\xbb\xbfdata: {"a": "x, y", "b": 1}\n\ndata: [DONE]\n\n'),
        (Framing(ids=True), b'id: 0\ndata: {"a": "x, y", "b": 1}\n\nid: 1\ndata: [DONE]\n\n'),
        (
            Framing(event="message", fields={"foo": "bar"}),
            b'event: message\ndata: {"a": "x, y", "b": 1}\nfoo: bar\n\nevent: message\ndata: [DONE]\nfoo: bar\n\n',
        ),
        (Framing(multiline=True), b'data: {"a": "x, y",\ndata:  "b": 1}\n\ndata: [DONE]\n\n'),
        (Framing(ends_with="line_end"), b'data: {"a": "x, y", "b": 1}\n\ndata: [DONE]\n'),
        (Framing(line_end="crlf", ends_with="nothing"), b'data: {"a": "x, y", "b": 1}\r\n\r\ndata: [DONE]'),
        (
            Framing(insert=(Insert(before=(0, 1, 1), comment="ping"), Insert(before=(99,), comment=""))),
            b': ping\n\ndata: {"a": "x, y", "b": 1}\n\n: ping\n\n: ping\n\ndata: [DONE]\n\n:\n\n',
        ),
        (
            Framing(insert=(Insert(before=(0,)), Insert(before="every", data=""))),
            b'\ndata: \n\ndata: {"a": "x, y", "b": 1}\n\ndata: \n\ndata: [DONE]\n\n',
        ),
        (
            Framing(space=False, insert=(Insert(before=(1,), id="7", retry=9), Insert(before=(2,), data=""))),
            b'data:{"a": "x, y", "b": 1}\n\nid:7\nretry:9\n\ndata:[DONE]\n\ndata:\n\n',
        ),
        (
            Framing(insert=(Insert(before=(1,), event="x.progress", data="{}"),)),
            b'data: {"a": "x, y", "b": 1}\n\nevent: x.progress\ndata: {}\n\ndata: [DONE]\n\n',
        ),
    ],
)
def test_how_two_events_are_framed(framing: Framing, body: bytes) -> None:
    assert b"".join(frame(TWO, framing)) == body


@pytest.mark.parametrize("ends_with", ["line_end", "nothing"])
def test_the_standard_discards_an_event_without_its_blank_line(ends_with: Any) -> None:
    assert decode(*frame(TWO, Framing(ends_with=ends_with))) == TWO[:1]


@pytest.mark.parametrize(
    ("sse", "problem"),
    [
        ("{line_end: crfl}", "stream.sse.line_end: 'crfl' is not one of lf, cr, crlf, mixed; did you mean 'crlf'?"),
        ("{insert: [{comment: ping}]}", "stream.sse.insert[0]: the key 'before' is missing"),
        ('{insert: [{before: [0], comment: "a\\nb"}]}', "stream.sse.insert[0].comment: a line end inside 'comment'"),
        ("{insert: [{before: [0], data: '{}'}]}", "stream.sse.insert[0].data: data without a type is read as part of"),
        ("{insert: [{before: [0], event: error}]}", "stream.sse.insert[0].event: 'error' is a type that clients act"),
        ("{insert: [{before: [0], id: 7}]}", "stream.sse.insert[0].id: expected string | null, got integer; put it in"),
        (
            "{fields: {data: x}}",
            "stream.sse.fields.data: 'data' is not an unknown field: letters, digits, _ and -, but",
        ),
        ('{fields: {foo: "a\\rb"}}', "stream.sse.fields.foo: a line end inside 'foo'"),
        ("{after: [x]}, done: false", "stream.sse.after: events after a '[DONE]' that is not sent would be part of"),
    ],
)
def test_a_framing_that_would_change_the_meaning_is_refused(sse: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        load(f"rules:\n- reply: {{}}\n  stream: {{sse: {sse}}}\n")
    assert f"rules[0].{problem}" in str(refused.value)


@given(st.lists(st.builds(Event, st.text(), st.sampled_from(["message", "ping"]))), framings())
def test_events_framed_one_by_one_are_those_framed_together(events: list[Event], framing: Framing) -> None:
    together = [piece for piece in encode(blocks(events, framing), framing) if piece]
    assert frame(events, framing) == together
