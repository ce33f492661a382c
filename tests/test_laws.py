"""The laws of the staircase: whatever is said, however it is divided, spelt and cut, comes back as it was.

Completion ──divide──▶ Chunk… ──write──▶ Event… ──encode──▶ bytes
Completion ◀──fold───  Chunk… ◀──read──  Event… ◀─Decoder── bytes, cut anywhere
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.completion import Choice, Chunk, Completion, ToolCall, Usage, fold
from fakellm.dialects import DIALECTS
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.read import read_body, read_chunk
from fakellm.dialects.write import write_body
from fakellm.loader import dump, load
from fakellm.render import complete, stream
from fakellm.request import parse
from fakellm.scenario import Scenario, reply_of
from fakellm.seed import Source
from fakellm.sse import Decoder
from fakellm.strategies import completions, streams, variations
from fakellm.timing import Timing
from fakellm.variation import Variation, cut, divide
from tests.conftest import chat

COMPLETIONS = completions()
DIALECT = st.sampled_from(list(DIALECTS.values()))


def chunks_of(dialect: Dialect, *pieces: bytes) -> list[Chunk]:
    """What a reader makes of bytes that arrive in these pieces."""
    decoder = Decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert not decoder.unfinished
    assert events.pop().data == "[DONE]"
    return [read_chunk(dialect, event.data) for event in events]


@given(st.data(), COMPLETIONS)
def test_a_division_folds_back_to_the_completion(data: st.DataObject, completion: Completion) -> None:
    assert fold(divide(completion, data.draw(variations(completion)))) == completion


@given(st.data(), COMPLETIONS, DIALECT)
def test_the_bytes_of_a_stream_say_the_completion_however_they_are_cut(
    data: st.DataObject, completion: Completion, dialect: Dialect
) -> None:
    variation = data.draw(variations(completion))
    body = b"".join(frame.data for frame in stream(completion, variation, dialect, Timing(), Source(0)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    singles = [body[i : i + 1] for i in range(len(body))]
    for way in ([body], pieces, singles):
        assert fold(chunks_of(dialect, *way)) == completion


@given(COMPLETIONS, DIALECT)
def test_a_whole_body_says_the_same_as_a_stream(completion: Completion, dialect: Dialect) -> None:
    assert read_body(dialect, write_body(dialect, completion)) == completion


@given(COMPLETIONS, DIALECT)
def test_a_reply_without_gaps_is_completed_to_what_it_says(completion: Completion, dialect: Dialect) -> None:
    request = parse(chat(stream=True, stream_options={"include_usage": True}))
    assert complete(reply_of(completion), request, 0, dialect) == completion


@given(streams())
def test_a_scenario_survives_yaml(scenario: Scenario) -> None:
    assert load(dump(scenario)) == scenario


@given(st.text(), st.integers(1, 9) | st.lists(st.integers(0, 50)).map(tuple) | st.sampled_from(("tokens", "whole")))
def test_a_cut_text_joins_back(text: str, how: int | tuple[int, ...]) -> None:
    assert "".join(cut(text, how)) == text


@given(st.data(), COMPLETIONS)
def test_the_zero_of_every_field_is_the_plain_wire(data: st.DataObject, completion: Completion) -> None:
    """A variation with one field given differs from the plain wire by that field alone: what shrinking relies on."""
    usual = data.draw(DIALECT).usual
    assert Variation().over(usual) == usual
    drawn = data.draw(variations(completion))
    for name in Variation.__struct_fields__:
        alone = Variation(**{name: getattr(drawn, name)}).over(usual)
        kept = {field for field in Variation.__struct_fields__ if field != name}
        assert all(getattr(alone, field) == getattr(usual, field) for field in kept)


TOOLS = Completion(
    id="c",
    created=100,
    model="m",
    choices=(Choice(content="A b", tool_calls=(ToolCall("i", "f", "{}"), ToolCall("j", "g", "[1]"))),),
    usage=Usage(1, 2),
)


def said(chunks: tuple[Chunk, ...]) -> list[str]:
    """Chunks in short: who says what."""
    lines = []
    for chunk in chunks:
        for part in chunk.choices:
            delta = part.delta
            calls = [f"{call.index}:{call.name or ''}{call.arguments}" for call in delta.tool_calls]
            words = [delta.role and "role", delta.content, delta.reasoning, *calls, part.finish_reason]
            lines.append(f"{part.index} " + " ".join(filter(None, words)))
        lines += ["usage"] if chunk.usage else []
    return lines


@pytest.mark.parametrize(
    ("variation", "expected"),
    [
        (Variation(), ["0 role", "0 A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(padding=2), ["0 role", "0 ", "0 ", "0 A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(role="first"), ["0 role A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (Variation(role="call"), ["0 role", "0 A b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (
            Variation(split="tokens"),
            ["0 role", "0 A", "0  b", "0 0:f", "0 0:{}", "0 1:g", "0 1:[", "0 1:1", "0 1:]", "usage"],
        ),
        (Variation(split={"content": 2}), ["0 role", "0 A ", "0 b", "0 0:f{}", "0 1:g[1]", "usage"]),
        (
            Variation(split={"tool_calls[1].arguments": (1,)}),
            ["0 role", "0 A b", "0 0:f{}", "0 1:g", "0 1:[", "0 1:1]", "usage"],
        ),
        (
            Variation(split={"arguments": "characters", "tool_calls[0].arguments": "whole"}, interleave="calls"),
            ["0 role", "0 A b", "0 0:f{}", "0 1:g", "0 1:[", "0 1:1", "0 1:]", "usage"],
        ),
        (
            Variation(split={"arguments": 1}, interleave="both"),
            ["0 role", "0 A b", "0 0:f", "0 1:g", "0 0:{", "0 1:[", "0 0:}", "0 1:1", "0 1:]", "usage"],
        ),
    ],
)
def test_how_a_completion_is_divided(variation: Variation, expected: list[str]) -> None:
    assert said(divide(TOOLS, variation)) == expected


def test_choices_take_turns() -> None:
    two = msgspec.structs.replace(
        TOOLS, choices=(Choice(content="AB", finish_reason="stop"), Choice(content="x", finish_reason="stop"))
    )
    apart = said(divide(two, Variation(split=1)))
    assert apart == ["0 role", "0 A", "0 B", "0 stop", "1 role", "1 x", "1 stop", "usage"]
    turns = said(divide(two, Variation(split=1, interleave="choices")))
    assert turns == ["0 role", "1 role", "0 A", "1 x", "0 B", "1 stop", "0 stop", "usage"]


def test_created_ticks_over_before_the_chunks_named() -> None:
    assert [chunk.created for chunk in divide(TOOLS, Variation(ticks=(1, 3, 3)))] == [100, 101, 101, 103, 103]
