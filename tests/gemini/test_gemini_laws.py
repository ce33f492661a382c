"""The laws of the Gemini API: what is divided, written, framed and cut anywhere reads back to what was meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.apis.events import events_of
from fakellm.apis.gemini.api import GEMINI
from fakellm.apis.gemini.frames.usage import metadata, spelled_metadata
from fakellm.apis.gemini.habits import DIALECTS, GeminiHabits, habits_of
from fakellm.apis.gemini.stream_keys import GeminiKeys
from fakellm.apis.protocol import Answer
from fakellm.apis.variation import PLAIN, Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import spelled
from fakellm.base.seed import Source
from fakellm.model.blocks import Choice, Completion, Opaque, Refusal, Stop, Text, Thinking, ToolCall, Usage
from fakellm.model.deltas import Batch, End
from fakellm.model.fold import fold
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.wire.framing import Framing, frame
from fakellm.wire.json_array import ItemDecoder, Items
from fakellm.wire.sse import Decoder, Event
from tests.test_core_laws import COMPLETIONS, COUNTS, DIVISIONS, TEXTS
from tests.test_skeleton import from_scratch
from tests.toy_api import TOY
from tests.toy_api import Habits as ToyHabits

NAMES = st.text(max_size=3) | st.sampled_from(["city", "days"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.text(min_size=15, max_size=40) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)
SIGNED = st.sampled_from([{}, {"gemini": {"thoughtSignature": "c2ln"}}, {"chat": {"x": 1}}])
PARTS = [
    {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"},
    {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
    {"text": "as a part"},
    {"candidate": {"groundingMetadata": {"webSearchQueries": ["a"]}}},
    {"candidate": {"citationMetadata": {"citations": []}, "groundingMetadata": {}}},
    {"response": {"promptFeedback": {"safetyRatings": []}}},
    {"functionCall": {"name": "f", "args": {"a": 1}}},
]
BLOCKS: st.SearchStrategy[Any] = st.one_of(
    st.builds(Text, TEXTS, own=SIGNED),
    st.builds(Refusal, TEXTS),
    st.builds(Thinking, st.lists(TEXTS, max_size=2).map(tuple), st.just(()), st.sampled_from(["", "c2ln"]), SIGNED),
    st.builds(ToolCall, st.none() | TEXTS, st.text(min_size=1, max_size=5), OBJECTS.map(json.dumps), own=SIGNED),
    st.builds(Opaque, st.just("gemini"), st.sampled_from(PARTS)),
)
STOPPED = [
    {},
    {"gemini": {"finishReason": "SPII"}},
    {"gemini": {"safetyRatings": [], "promptFeedback": {"safetyRatings": []}}},
]
STOPS = st.none() | st.builds(
    Stop,
    st.sampled_from(["stop", "length", "tool_calls", "content_filter", "RECITATION"]),
    st.sampled_from(STOPPED),
)
USAGES = st.none() | st.builds(
    Usage,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.integers(0, 9),
    st.sampled_from([{}, {"gemini": {"toolUsePromptTokenCount": 7}}, {"gemini": {"absent": ["totalTokenCount"]}}]),
)
MEANT = COMPLETIONS | st.builds(
    Completion,
    st.lists(st.builds(Choice, st.lists(BLOCKS, max_size=6).map(tuple), STOPS), min_size=1, max_size=3).map(tuple),
    USAGES,
)
KEYS = st.builds(
    GeminiKeys,
    index=st.none() | st.booleans(),
    role=st.sampled_from([None, "first", "last", "never"]),
    bare=st.sampled_from([None, "text", "role", "empty", "null", "absent"]),
    details=st.sampled_from([None, (), ("prompt", "candidates")]),
    usage=st.sampled_from([None, {}, {"serviceTier": "standard"}]),
    between=st.sampled_from([None, {}, {"trafficType": "ON_DEMAND"}]),
    call_message=st.none() | st.booleans(),
    signature=st.sampled_from([None, "beside", "after"]),
    enums=st.sampled_from([None, "names", "numbers"]),
    stream_args=st.none() | st.booleans(),
)


def habits_with(dialect: str, keys: GeminiKeys | None = None, extra: dict[str, Any] | None = None) -> GeminiHabits:
    full = Variation(gemini=keys, spelling=Spelling(extra=extra)).over(DIALECTS[dialect].usual).over(PLAIN)
    return habits_of(full, DIALECTS[dialect])


EXTRA = st.sampled_from([{}, {}, {"x": 1, "choice.y": [], "delta.z": {"a": None}}])
HABITS = st.builds(habits_with, st.sampled_from(sorted(DIALECTS)), KEYS, EXTRA)
PLAIN_HABITS = habits_with("ai-studio")
DRAWN = {"id": "StwRadyROZ3qptQPg8OiiQU", "created": 17, "model": "gemini-2.5-flash"}
FRAMINGS = [Framing(line_end="crlf"), Items(line_end="crlf"), Items()]


def decoder_of(framing: Framing) -> Any:
    return ItemDecoder() if isinstance(framing, Items) else Decoder()


def written(completion: Completion, division: Division, habits: GeminiHabits, framing: Framing) -> bytes:
    batches = divide(completion, division, GEMINI.grammar(habits), Source(0))
    answer = Answer(completion, habits, DRAWN, Source(0))
    return b"".join(frame([event for events in events_of(GEMINI, batches, answer) for event in events], framing))


def ended(completion: Completion) -> End | None:
    """How a stream of the completion ends, if one choice was requested."""
    blocked = any(
        isinstance(block, Opaque) and "blockReason" in block.value.get("response", {}).get("promptFeedback", {})
        for choice in completion.choices
        for block in choice.blocks
    )
    return End() if blocked or any(choice.finish for choice in completion.choices) else None


@given(MEANT, DIVISIONS, HABITS)
def test_a_divided_completion_folds_back(completion: Completion, division: Division, habits: GeminiHabits) -> None:
    meant = GEMINI.expressible(completion, habits)
    assert GEMINI.expressible(meant, habits) == meant
    assert fold(divide(meant, division, GEMINI.grammar(habits), Source(0))) == (meant, End())


@given(MEANT, DIVISIONS, HABITS, st.sampled_from(FRAMINGS), st.data())
def test_bytes_cut_anywhere_read_back(
    completion: Completion, division: Division, habits: GeminiHabits, framing: Framing, data: st.DataObject
) -> None:
    meant = GEMINI.expressible(completion, habits)
    sent = written(meant, division, habits, framing)
    whole = decoder_of(framing).feed(sent)
    decoder, place = decoder_of(framing), data.draw(st.integers(0, len(sent)))
    cut = [
        *decoder.feed(sent[:place]),
        *(event for at in range(place, len(sent)) for event in decoder.feed(sent[at : at + 1])),
    ]
    assert cut == whole
    assert decoder.finish() == []
    assert fold(GEMINI.read(whole, habits)) == (meant, ended(meant))


@given(MEANT, HABITS)
def test_a_whole_body_means_the_same_as_a_stream(completion: Completion, habits: GeminiHabits) -> None:
    meant = GEMINI.expressible(completion, habits, whole=True)
    assert GEMINI.expressible(meant, habits, whole=True) == meant
    assert GEMINI.expressible(GEMINI.expressible(completion, habits), habits, whole=True) == meant
    body = GEMINI.whole(Answer(meant, habits, DRAWN, Source(0)))
    assert fold(GEMINI.read_whole(body, habits)) == (meant, ended(meant))


@given(st.lists(st.builds(Usage, *[st.integers(0, 10**6) | st.just(0)] * 5), max_size=4), HABITS)
def test_counts_that_are_put_into_a_text_give_what_each_is_spelled_as(
    usages: list[Usage], habits: GeminiHabits
) -> None:
    made = spelled_metadata(habits)
    for usage in usages:
        assert made(usage) == spelled(metadata(usage, habits), habits.spelling)


@given(MEANT, DIVISIONS, HABITS)
def test_a_read_stream_plays_again(completion: Completion, division: Division, habits: GeminiHabits) -> None:
    sent = written(GEMINI.expressible(completion, habits), division, habits, Framing())
    batches = renumbered(GEMINI.read(Decoder().feed(sent), habits))
    found, _ = fold(batches)
    assert play(found, observe(batches)) == batches
    answer = Answer(found, habits, DRAWN, Source(0))
    again = [event for events in events_of(GEMINI, batches, answer) for event in events]
    assert b"".join(frame(again, Framing())) == sent


@given(MEANT, DIVISIONS, HABITS)
def test_a_filled_skeleton_equals_the_stream_written_from_scratch(
    completion: Completion, division: Division, habits: GeminiHabits
) -> None:
    meant = GEMINI.expressible(completion, habits)
    batches = divide(meant, division, GEMINI.grammar(habits), Source(3))
    answer = Answer(meant, habits, DRAWN, Source(5))
    found = [event.data for events in events_of(GEMINI, batches, answer) for event in events]
    assert found == from_scratch(GEMINI, batches, answer)


@given(COMPLETIONS, DIVISIONS, HABITS, st.data())
def test_any_batches_can_be_written(
    completion: Completion, division: Division, habits: GeminiHabits, data: st.DataObject
) -> None:
    """Those of another API too, and in any order: one item for each batch, and nothing is raised."""
    batches: list[Batch] = list(divide(completion, division, TOY.grammar(ToyHabits()), Source(0)))
    batches = data.draw(st.permutations(batches))[: data.draw(st.integers(0, len(batches)))]
    assert len(events_of(GEMINI, batches, Answer(completion, habits, DRAWN, Source(0)))) == len(batches)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "candidates",
                    "content",
                    "parts",
                    "text",
                    "index",
                    "finishReason",
                    "functionCall",
                    "name",
                    "args",
                    "usageMetadata",
                    "promptTokenCount",
                    "thought",
                    "thoughtSignature",
                    "promptFeedback",
                    "error",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON.map(json.dumps) | st.text(max_size=9), max_size=4), HABITS)
def test_reading_never_raises(texts: list[str], habits: GeminiHabits) -> None:
    completion, end = fold(GEMINI.read([Event(text) for text in texts], habits))
    assert isinstance(completion, Completion)
    assert end is None or isinstance(end, End)


@pytest.mark.parametrize("data", ["[]", "5", "{", '{"error": {"code": 503}}', '{"candidates": 5}', "[" * 99_999])
def test_what_is_not_a_frame_ends_the_stream_with_an_error(data: str) -> None:
    _, end = fold(GEMINI.read([Event(data)], PLAIN_HABITS))
    assert end is not None
    assert end.error is not None


@given(MEANT, DIVISIONS, st.data())
def test_a_stream_that_is_cut_has_no_good_end(completion: Completion, division: Division, data: st.DataObject) -> None:
    """Unless what was cut off is no more than token counts: then every candidate has finished."""
    meant = GEMINI.expressible(completion, PLAIN_HABITS)
    events = Decoder().feed(written(meant, division, PLAIN_HABITS, Framing()))
    cut = events[: data.draw(st.integers(0, len(events) - 1))]
    found, end = fold(GEMINI.read(cut, PLAIN_HABITS, len(meant.choices)))
    if end is not None and ended(meant):
        assert all(choice.finish for choice in found.choices) or ended(replace(meant, choices=found.choices))
