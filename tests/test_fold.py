"""Chunks that providers send and clients misread: what the reference makes of them. Row ids are those of the bugs seen."""

from __future__ import annotations

import pytest

from fakellm.apis.chat.chunk import NULL, Chunk, ChunkChoice, Delta, Null, ToolCallDelta, envelope
from fakellm.base.errors import StreamError
from fakellm.model.blocks import Choice, ToolCall, Usage
from tests.chats import chat_choice, folded


def chunk(*deltas: Delta, finish: str | None = None, usage: Usage | None = None, name: str = "c") -> Chunk:
    """A chunk of one choice; more deltas are more choices."""
    parts = tuple(ChunkChoice(index, delta, finish) for index, delta in enumerate(deltas))
    return Chunk(name, 1, "m", parts, usage)


def call(index: int | Null | None, name: str = "", arguments: str = "", known: str = "") -> Delta:
    return Delta(tool_calls=(ToolCallDelta(index, known or None, None, name or None, arguments),))


def choice(*chunks: Chunk) -> Choice:
    return folded(chunks).choices[0]


def test_the_last_finish_reason_stands() -> None:  # B9
    assert choice(chunk(Delta(), finish="tool_calls"), chunk(Delta(), finish="stop")).finish_reason == "stop"
    assert choice(chunk(Delta(), finish="stop"), chunk(Delta(content="late"))) == chat_choice(
        "late", finish_reason="stop"
    )  # B10


def test_the_last_usage_stands() -> None:  # D1, D3
    assert folded([chunk(usage=Usage(1, 1)), chunk(usage=Usage(1, 2)), chunk()]).usage == Usage(1, 2)


def test_the_first_envelope_that_is_not_empty_stands() -> None:  # B1, B13
    assert envelope([Chunk("", 0, ""), chunk(name="one"), chunk(name="two")])["id"] == "one"


def test_null_and_empty_are_not_content() -> None:  # B6, C10, C11, C14
    pieces = (call(0, "f", known="i"), Delta(content=NULL, tool_calls=NULL), Delta(content=""))
    rest = Delta(tool_calls=(ToolCallDelta(0, NULL, NULL, NULL, "{}"), ToolCallDelta(0, "", "", "", NULL)))
    assert choice(*map(chunk, pieces), chunk(rest)) == chat_choice(tool_calls=(ToolCall("i", "f", "{}"),))


@pytest.mark.parametrize(
    "deltas",
    [
        [call(1, "g", "2", "j"), call(0, "f", "1", "i")],  # C5
        [call(3, "f", "1", "i"), call(7, "g", "2", "j")],  # C5, gaps
        [call(0, "f", "", "i"), call(1, "g", "", "j"), call(0, "", "1"), call(1, "", "2")],  # C3
        [call(0, "f", "1", "i"), call(0, "g", "2", "j")],  # C7, the ids differ
        [call(None, "f", "1", "i"), call(None, "g", "2", "j")],  # C6
        [call(NULL, "f", "", "i"), call(NULL, "g", "2", "j"), call(NULL, "", "1", "i")],  # C6
        [call(None, "f", "", "i"), call(None, "", "1"), call(None, "g", "2", "j")],  # C6, pieces without an id
        [call(0, "f", "", "i"), call(0, "f", "1", "i"), call(1, "g", "2", "j")],  # C9, C12: said again
        [call(0, "f", "", "i"), call(0, "", "1", "other"), call(1, "g", "2", "j")],  # C8: the first id stands
        [call(0, "", "", "i"), call(0, "f", "1"), call(1, "g", "2", "j")],  # C13: the name comes late
        [call(0, "f", ""), call(0, "", "1", "i"), call(1, "g", "2", "j")],  # C22: the id comes late
        [call(0, "f", ""), call(0, "f", "1", "i"), call(0, "f", "", "i"), call(1, "g", "2", "j")],  # C22, C12
        [call(None, "f", ""), call(None, "", "1", "i"), call(None, "g", "2", "j")],  # C22, C6
    ],
)
def test_calls_are_distinguished(deltas: list[Delta]) -> None:
    assert choice(*map(chunk, deltas)).tool_calls == (ToolCall("i", "f", "1"), ToolCall("j", "g", "2"))


def test_the_halves_of_a_surrogate_pair_are_one_character() -> None:  # A16
    assert choice(chunk(Delta(content="a\ud83c")), chunk(Delta(content="\udf0db"))).content == "a🌍b"
    assert choice(chunk(Delta(content="a\ud83c"))).content == "a\ud83c"


def test_choices_come_in_any_order() -> None:  # B19
    late = Chunk("c", 1, "m", (ChunkChoice(1, Delta(content="b")),))
    assert [each.content for each in folded([late, chunk(Delta(content="a"))]).choices] == ["a", "b"]


def test_a_stream_without_a_chunk_is_not_a_completion() -> None:  # E8
    with pytest.raises(StreamError, match="no chunk"):
        folded([])
