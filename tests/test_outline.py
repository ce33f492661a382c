"""Outlines: what they are filled in with gives the bytes of the completion itself, whatever was rendered before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.apis.chat.api import CHAT
from fakellm.apis.chat.habits import split
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.events import events_of
from fakellm.apis.protocol import Answer, Settings
from fakellm.apis.route import HOMES, api_named
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Padding
from fakellm.base.seed import Source
from fakellm.engine.memo import Cache, Memo
from fakellm.engine.stream import divided, stream
from fakellm.fuzzing.strategies import answers, streams
from fakellm.model.blocks import Choice, Completion, Stop, Text, Thinking, ToolCall, Usage
from fakellm.model.deltas import End
from fakellm.streaming.division import Division
from fakellm.streaming.outline import outline
from fakellm.wire.framing import blocks, encode, is_uniform
from fakellm.wire.sse import Event
from fakellm.wire.timing import AT_ONCE

HABITS = split(Variation(), DIALECTS["openai"]).habits


def written_out(answer: Answer[Any], settings: Settings[Any], route: Any) -> bytes:
    """The stream of an answer whose batches all stand for themselves."""
    batches = divided(answer, settings, route)
    events = events_of(route, batches, answer)
    ends = [any(isinstance(delta, End) for delta in batch) for batch in batches]
    pairs = list(zip(events, ends, strict=True))
    ordered = [event for last in (False, True) for found, end in pairs if end == last for event in found]
    lines = blocks((*ordered, *map(Event, settings.framing.after)), settings.framing)
    return b"".join(encode(lines, settings.framing))


@pytest.mark.parametrize("name", HOMES)
@given(data=st.data())
def test_a_stream_is_the_same_whatever_was_rendered_before(name: str, data: st.DataObject) -> None:
    """Texts of different lengths, in one way of streaming: those of one outline share what is written."""
    api: Any = api_named(name)
    request = api.parse(json.dumps(api.example()).encode(), {"anthropic-version": "2023-06-01"})
    dialect = data.draw(st.sampled_from([None, *api.dialects]))
    settings = api.settings(data.draw(streams("all", api=name)).rules[0].stream, dialect, request, 0, True)
    if settings.score or not is_uniform(settings.framing):
        return
    memo = Memo(Cache(10**7), "a rule")
    for completion in data.draw(st.lists(answers(api=name), min_size=1, max_size=3)):
        for times in (1, 2, 9):
            longer = api.expressible(_longer(completion, times), settings.habits)
            answer, again = (api.answer(longer, request, settings.habits, times, {}) for _ in range(2))
            frames = stream(answer, settings, api, AT_ONCE, None, memo)
            assert b"".join(frame.data for frame in frames) == written_out(again, settings, api)


TEXT = "It rains  in   the hills. "
WORDS = Completion(
    (
        Choice(
            (Thinking((TEXT * 2,)), Text(TEXT * 3), *(ToolCall(f"c{each}", "f", TEXT) for each in "ab")), Stop("stop")
        ),
        Choice((Text(TEXT),), Stop("length")),
    ),
    Usage(7, 60, reasoning=4),
)


@pytest.mark.parametrize("dialect", ["openai", "zai-2025"])  # the latter writes pieces of white space in another way
@pytest.mark.parametrize(
    "variation",
    [
        Variation(split="tokens"),
        Variation(split="characters", finish="last"),
        Variation(split={"content": 3, "arguments": "words", "reasoning": "whole"}),
        Variation(split=(0, 3, 3, 7)),
        Variation(split="random", padding=3),
        Variation(split=4, padding=(Padding(2, "delta"),)),
        Variation(split=4, padding=(Padding(2, (0, 2)),)),
        Variation(split=4, padding=(Padding(2, (3,)),)),
        Variation(split=4, padding="reasoning"),
        Variation(split=4, interleave="choices"),
        Variation(split=4, interleave="calls"),
        Variation(split=4, turns=(("content", 4), ("reasoning", 3))),
        Variation(split=4, together=("parts",)),
        Variation(split=4, calls=Calls(before=3)),
        Variation(split=4, usage="running"),
        Variation(split=4, usage="every"),
    ],
)
def test_every_way_of_dividing_gives_the_same_bytes_from_an_outline(dialect: str, variation: Variation) -> None:
    settings = split(variation, DIALECTS[dialect])
    first = replace(WORDS, choices=WORDS.choices[:1])
    memo = Memo(Cache(10**7), "a rule")
    for completion in (WORDS, first, _longer(WORDS, 2), _longer(first, 3)):
        answer, again = (Answer(completion, settings.habits, {"id": "1", "model": "m"}, Source(5)) for _ in range(2))
        frames = stream(answer, settings, CHAT, AT_ONCE, None, memo)
        assert b"".join(frame.data for frame in frames) == written_out(again, settings, CHAT)


@pytest.mark.parametrize("signature", ["", "c2ln"])
def test_a_piece_that_shares_its_batch_with_another_is_written_as_it_is(signature: str) -> None:
    """Gemini sends a signature beside the last piece of a thought."""
    api: Any = api_named("gemini")
    request = api.parse(json.dumps(api.example()).encode(), {})
    settings = api.settings(Variation(split=4, usage="finish"), None, request, 0, True)
    completion = Completion((Choice((Thinking((TEXT,), signature=signature), Text(TEXT)), Stop("stop")),))
    answer = api.answer(completion, request, settings.habits, 0, {})
    frames = stream(answer, settings, api, AT_ONCE, None, Memo(Cache(10**7), "a rule"))
    assert b"".join(frame.data for frame in frames) == written_out(answer, settings, api)


def test_texts_of_five_and_more_pieces_have_one_outline_whatever_the_ids_of_calls() -> None:
    def outlined(text: str, identifier: str = "a") -> str:
        completion = Completion((Choice((Text(text), ToolCall(identifier, "f", text))),))
        found = outline(completion, Division("words"), CHAT.grammar(HABITS), "all", Source(0))
        assert found
        return repr(found.completion)

    assert outlined("a b c d e") == outlined("the 6 words of a text", "b") != outlined("a b c d")


def _longer(completion: Completion, times: int) -> Completion:
    """The completion, whose texts are repeated."""

    def longer(block: Any) -> Any:
        return replace(block, text=(block.text + " ") * times, logprobs=()) if isinstance(block, Text) else block

    choices = (replace(each, blocks=tuple(map(longer, each.blocks))) for each in completion.choices)
    return replace(completion, choices=tuple(choices))
