"""The laws that Ollama's API keeps: what is written is read back, however it is divided and framed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.apis.events import events_of
from fakellm.apis.ollama.api import OLLAMA
from fakellm.apis.ollama.dialects import DIALECTS
from fakellm.apis.ollama.habits import OllamaHabits, split
from fakellm.apis.ollama.infer import infer_lines
from fakellm.apis.protocol import Answer
from fakellm.apis.skeleton import Fill, fill, skeleton
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.engine.engine import Engine
from fakellm.engine.memo import Cache
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.fuzzing.strategies import completions, streams, variations
from fakellm.model.blocks import Completion
from fakellm.model.deltas import Batch, Count, End
from fakellm.model.fold import fold
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import reply_of
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.streaming.shape import Stretch, call_ids
from fakellm.wire.framing import Framing, Insert, frame
from fakellm.wire.ndjson import LineDecoder, lines
from fakellm.wire.sse import Event
from tests.ollama.samples import body, request
from tests.test_core_laws import COMPLETIONS, DIVISIONS

HABITS = st.builds(
    lambda dialect, route: split(Variation(), dialect, route, route == "generate").habits,
    st.sampled_from(sorted(DIALECTS)),
    st.sampled_from(["chat", "generate"]),
)
FRAMINGS = st.builds(
    Framing,
    line_end=st.sampled_from(["lf", "crlf"]),
    insert=st.just(()) | st.just((Insert(before=(0, 2)),)) | st.just((Insert(before="every"),)),
    ends_with=st.sampled_from(["blank_line", "nothing"]),
)


def answered(completion: Completion, habits: OllamaHabits) -> Answer[OllamaHabits]:
    """The answer for what this API can express of a completion."""
    return OLLAMA.answer(OLLAMA.expressible(completion, habits), request(habits.route), habits, 0, {})


def events(answer: Answer[OllamaHabits], division: Division) -> list[Event]:
    batches = divide(answer.completion, division, OLLAMA.grammar(answer.habits), Source(0))
    return [event for events in events_of(OLLAMA, batches, answer) for event in events]


def read(found: Sequence[Event], habits: OllamaHabits) -> list[Batch]:
    return list(OLLAMA.read(found, habits))


@given(COMPLETIONS, HABITS)
def test_what_can_be_sent_can_be_sent_as_it_is(completion: Completion, habits: OllamaHabits) -> None:
    once = OLLAMA.expressible(completion, habits)
    assert OLLAMA.expressible(once, habits) == once


@settings(max_examples=100)
@given(COMPLETIONS, DIVISIONS, HABITS)
def test_a_divided_completion_folds_back(completion: Completion, division: Division, habits: OllamaHabits) -> None:
    meant = OLLAMA.expressible(completion, habits)
    assert fold(divide(meant, division, OLLAMA.grammar(habits), Source(0))) == (meant, End())


@settings(max_examples=100)
@given(COMPLETIONS, DIVISIONS, HABITS, FRAMINGS, st.lists(st.integers(0, 4000), max_size=5))
def test_bytes_come_back_cut_anywhere(
    completion: Completion, division: Division, habits: OllamaHabits, framing: Framing, cuts: list[int]
) -> None:
    answer = answered(completion, habits)
    data = b"".join(frame(events(answer, division), lines(framing)))
    decoder, found, start = LineDecoder(), [], 0
    for end in [*sorted(cuts), len(data)]:
        found += decoder.feed(data[start:end])
        start = max(start, end)
    found += decoder.finish()
    assert fold(read(found, habits)) == (answer.completion, End())


@given(COMPLETIONS, DIVISIONS, HABITS, st.data())
def test_a_stream_that_is_cut_has_no_good_end(
    completion: Completion, division: Division, habits: OllamaHabits, data: st.DataObject
) -> None:
    found = events(answered(completion, habits), division)
    cut = data.draw(st.integers(0, len(found) - 1))
    assert fold(read(found[:cut], habits))[1] is None


@given(COMPLETIONS, HABITS)
def test_a_whole_body_means_the_same_as_a_stream(completion: Completion, habits: OllamaHabits) -> None:
    answer = answered(completion, habits)
    meant, end = fold(OLLAMA.read_whole(OLLAMA.whole(answer), habits))
    assert end == End()
    assert meant.choices == (answer.completion.choices or meant.choices)
    assert meant.usage == answer.completion.usage


@settings(max_examples=100)
@given(COMPLETIONS, DIVISIONS, HABITS)
def test_a_recorded_stream_plays_again(completion: Completion, division: Division, habits: OllamaHabits) -> None:
    found = events(answered(completion, habits), division)
    batches = renumbered(read(found, habits))
    assert play(fold(batches)[0], observe(batches)) == batches


@given(completions(), HABITS, st.sampled_from(["tokens", "characters", 3]))
def test_a_recorded_stream_is_inferred_and_served_again(completion: Completion, habits: OllamaHabits, cut: Any) -> None:
    answer = answered(completion, habits)
    found = events(answer, Division(split=cut))
    inferred = infer_lines(found)
    batches = renumbered(read(found, habits))
    stream = replace(inferred.variation, score=observe(batches))
    rule = Rule(reply=reply_of(fold(batches)[0], inferred.values), stream=stream, dialect=inferred.dialect)
    again = load(dump(Scenario(rules=(rule,))))
    engine = Engine(Ruleset(again), 0, strict=True)
    data = json.dumps(body(habits.route)).encode()
    response = engine.respond(engine.match(data, OLLAMA, url=f"/api/{habits.route}"))
    assert isinstance(response, Response)
    if answer.completion.usage is None or answer.completion.usage.own or not habits.context:
        assert response.plan.body.decode() == "".join(event.data + "\n" for event in found)


@given(
    st.lists(
        st.text(max_size=9)
        | st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "message",
                            "content",
                            "response",
                            "tool_calls",
                            "function",
                            "arguments",
                            "done",
                            "logprobs",
                            "done_reason",
                            "error",
                            "thinking",
                            "eval_count",
                            "context",
                            "id",
                            "token",
                            "bytes",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(json.dumps),
        max_size=5,
    )
)
def test_reading_never_raises(data: list[str]) -> None:
    fold(OLLAMA.read([Event(each) for each in data], split(Variation(), None).habits))


# Skeletons: what is written once and filled in equals what is written from scratch


def from_scratch(batches: Sequence[Batch], answer: Answer[OllamaHabits]) -> list[str]:
    """The data of the events of batches that stand for themselves, with the values of the answer in them."""
    usages = [next((delta.usage for delta in batch[::-1] if isinstance(delta, Count)), None) for batch in batches]
    stretches = [Stretch(number, usage=usage) for number, usage in enumerate(usages)]
    values = Fill(answer.drawn, answer.source, call_ids(answer.completion), next(filter(None, usages), None))
    return list(fill(skeleton(OLLAMA.write(batches, answer)), stretches, values))


@settings(max_examples=100)
@given(st.data(), completions(), st.sampled_from(sorted(DIALECTS)), st.sampled_from(["chat", "generate"]))
def test_a_filled_skeleton_equals_the_stream_written_from_scratch(
    data: st.DataObject, completion: Completion, dialect: str, route: Any
) -> None:
    found = split(data.draw(variations(completion, "all", most=40)), dialect, route, route == "generate")
    answer = answered(completion, found.habits)
    batches = divide(answer.completion, found.division, OLLAMA.grammar(found.habits), Source(3))
    written = [event.data for events in events_of(OLLAMA, batches, answer) for event in events]
    assert written == from_scratch(batches, answer)


@settings(max_examples=60)
@given(streams("all"), st.lists(st.sampled_from(["a", "b", "a long prompt", "é\ud83d"]), min_size=1, max_size=4))
def test_a_reply_does_not_depend_on_those_before_it(scenario: Scenario, users: list[str]) -> None:
    ruleset = Ruleset(scenario)
    warm = Engine(ruleset, 0, strict=True, cache=Cache(10**7))
    for user in users:
        for route, stream in (("chat", True), ("generate", True), ("chat", False), ("generate", False)):
            data = json.dumps(body(route, user, stream=stream)).encode()
            cold = Engine(ruleset, 0, strict=True)
            expected = cold.respond(cold.match(data, OLLAMA, url=f"/api/{route}"))
            assert warm.respond(warm.match(data, OLLAMA, url=f"/api/{route}")) == expected


@pytest.mark.parametrize("route", ["chat", "generate"])
def test_a_reply_that_is_generated_does_not_depend_on_those_before_it(route: str) -> None:
    warm = Engine(Ruleset(None), 7, strict=False, cache=Cache(10**7))
    for number in range(12):
        data = json.dumps(body(route, f"Question {number}", think=True)).encode()
        cold = Engine(Ruleset(None), 7, strict=False)
        expected = cold.respond(cold.match(data, OLLAMA, url=f"/api/{route}"))
        assert warm.respond(warm.match(data, OLLAMA, url=f"/api/{route}")) == expected
