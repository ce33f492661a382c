"""The laws of the Responses API: whatever it sends is read back, cut anywhere, streamed or whole."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.apis.events import events_of
from fakellm.apis.protocol import Answer
from fakellm.apis.responses.api import RESPONSES
from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.apis.responses.habits import Habits
from fakellm.base.seed import Source
from fakellm.engine.engine import Engine
from fakellm.engine.memo import Cache
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.model.blocks import Completion
from fakellm.model.deltas import Batch, End
from fakellm.model.fold import fold
from fakellm.scenarios.loader import load
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.wire.framing import Framing, frame
from fakellm.wire.sse import Decoder, Event
from tests.responses.draws import COMPLETIONS, Way, ways
from tests.test_core_laws import DIVISIONS
from tests.test_skeleton import from_scratch

REQUEST = RESPONSES.parse(b'{"model":"gpt-5","input":"Hi","stream":true,"metadata":{"a":"@0"}}', {})
FEW = settings(max_examples=60, deadline=None)


def answered(completion: Completion, way: Way) -> Answer[Habits]:
    how = way.habits
    return RESPONSES.answer(RESPONSES.expressible(completion, how), REQUEST, how, 7, {})


def events(answer: Answer[Habits], division: Division) -> list[Event]:
    batches = divide(answer.completion, division, RESPONSES.grammar(answer.habits), Source(3))
    return [event for events in events_of(RESPONSES, batches, answer) for event in events]


@FEW
@given(COMPLETIONS, DIVISIONS, ways())
def test_a_divided_completion_folds_back(completion: Completion, division: Division, way: Way) -> None:
    how = way.habits
    meant = RESPONSES.expressible(completion, how)
    assert RESPONSES.expressible(meant, how) == meant
    assert fold(divide(meant, division, RESPONSES.grammar(how), Source(0))) == (meant, End())


@FEW
@given(COMPLETIONS, DIVISIONS, ways())
def test_what_is_written_is_read_back(completion: Completion, division: Division, way: Way) -> None:
    how = way.habits
    answer = answered(completion, way)
    assert fold(RESPONSES.read(events(answer, division), how)) == (answer.completion, End())


@FEW
@given(COMPLETIONS, DIVISIONS, ways())
def test_a_delta_begins_its_part_if_no_event_does(completion: Completion, division: Division, way: Way) -> None:
    how = way.habits
    answer = answered(completion, way)
    sent = [(json.loads(event.data), event) for event in events(answer, division) if event.data != "[DONE]"]
    begun = {_part(value) for value, _ in sent if value["type"] in DELTAS}
    found = [event for value, event in sent if value["type"] != ADDED or _part(value) not in begun]
    assert fold(RESPONSES.read(found, how)) == (answer.completion, End())


ADDED = "response.content_part.added"
DELTAS = ("response.output_text.delta", "response.refusal.delta")
"""An empty part may have none."""


def _part(value: dict[str, Any]) -> tuple[int, int]:
    return value["output_index"], value["content_index"]


@FEW
@given(COMPLETIONS, DIVISIONS, ways(), st.integers(1, 40))
def test_bytes_come_back_cut_anywhere(completion: Completion, division: Division, way: Way, size: int) -> None:
    how = way.habits
    answer = answered(completion, way)
    data = b"".join(frame(events(answer, division), Framing()))
    decoder = Decoder()
    found = [event for at in range(0, len(data), size) for event in decoder.feed(data[at : at + size])]
    assert fold(RESPONSES.read(found, how)) == (answer.completion, End())


@FEW
@given(COMPLETIONS, DIVISIONS, ways(), st.data())
def test_a_stream_that_is_cut_has_no_good_end(
    completion: Completion, division: Division, way: Way, data: st.DataObject
) -> None:
    how = way.habits
    found = events(answered(completion, way), division)
    ends = [
        number for number, event in enumerate(found) if _type(event) in ("response.completed", "response.incomplete")
    ]
    cut = data.draw(st.integers(0, ends[0]))
    assert fold(RESPONSES.read(found[:cut], how))[1] is None


def _type(event: Event) -> str | None:
    return json.loads(event.data)["type"] if event.data != "[DONE]" else None


@FEW
@given(COMPLETIONS, ways())
def test_a_whole_body_means_the_same_as_a_stream(completion: Completion, way: Way) -> None:
    how = way.habits
    answer = answered(completion, way)
    found, end = fold(RESPONSES.read_whole(RESPONSES.whole(answer), how))
    assert (found, end) == (answer.completion, End())


@FEW
@given(COMPLETIONS, DIVISIONS, ways())
def test_a_stream_plays_again(completion: Completion, division: Division, way: Way) -> None:
    how = way.habits
    answer = answered(completion, way)
    batches = renumbered(RESPONSES.read(events(answer, division), how))
    assert play(fold(batches)[0], observe(batches)) == batches


@FEW
@given(COMPLETIONS, DIVISIONS, ways())
def test_a_filled_skeleton_equals_the_stream_written_from_scratch(
    completion: Completion, division: Division, way: Way
) -> None:
    how = way.habits
    answer = answered(completion, way)
    batches = divide(answer.completion, division, RESPONSES.grammar(how), Source(3))
    found = [event.data for events in events_of(RESPONSES, batches, answer) for event in events]
    assert found == from_scratch(RESPONSES, batches, answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "message", "reasoning", "a", "output_text"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "id", "content", "text", "summary", "output", "error"]), inner)
    ),
    max_leaves=6,
)
KINDS = [
    *("response.created", "response.in_progress", "response.output_item.added", "response.output_item.done"),
    *("response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.x", "error"),
    *("response.function_call_arguments.delta", "response.reasoning_summary_text.delta", "response.completed"),
    *("response.output_text.annotation.added", "response.reasoning_summary_part.done", "response.failed", "keepalive"),
    *("response.code_interpreter_call_code.delta", "response.incomplete"),
]
KEYS = ["item", "part", "delta", "output_index", "content_index", "summary_index", "item_id", "response", "annotation"]


@settings(max_examples=300)
@given(
    st.lists(
        st.builds(
            lambda kind, rest: Event(json.dumps({"type": kind, **rest})),
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6),
        )
        | st.sampled_from(["", "[DONE]", "{", "[]", "null", '{"error":1}', "\ud800"]).map(Event),
        max_size=9,
    )
)
def test_reading_never_raises(found: list[Event]) -> None:
    batches: list[Batch] = list(RESPONSES.read(found, RESPONSES.infer([])[0]))
    fold(batches)
    observe(renumbered(batches))


@FEW
@given(st.lists(st.integers(0, 30)), COMPLETIONS, DIVISIONS, ways())
def test_writing_never_raises(order: list[int], completion: Completion, division: Division, way: Way) -> None:
    """Whatever a fault makes of the batches: dropped, repeated, in another order."""
    how = way.habits
    answer = answered(completion, way)
    batches = divide(answer.completion, division, RESPONSES.grammar(how), Source(3))
    kept = [batches[number] for number in order if number < len(batches)]
    found = [event for events in events_of(RESPONSES, kept, answer) for event in events]
    fold(RESPONSES.read(found, how))


def test_the_bytes_are_the_same_in_every_process() -> None:
    code = (
        "from tests.responses.test_laws import *\n"
        "from tests.responses.draws import ITEMS\n"
        "from fakellm.apis.responses.dialects.providers import DIALECTS\n"
        "from fakellm.apis.variation import Variation\n"
        "from fakellm.model.blocks import *\n"
        "blocks = (Thinking(('a b',)), Text('x y'), ToolCall(None, 'f'), *(Opaque('responses', i) for i in ITEMS))\n"
        "for name in sorted(DIALECTS):\n"
        "    answer = answered(Completion((Choice(blocks),), Usage(1, 2)), Way(name, Variation()))\n"
        "    print([e.data for e in events(answer, Division('tokens'))], RESPONSES.whole(answer))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1")
    }
    assert len(found) == 1
    assert "response.completed" in found.pop()


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_reply_does_not_depend_on_those_before_it(dialect: str) -> None:
    """Whatever a warm engine has rendered before: scripted, templated and generated replies, streamed and whole."""
    blocks = [{"type": "thinking", "parts": ["Hm"]}, {"type": "text", "text": "You are {{user}}."}]
    rules = [
        {"when": {"user": "A"}, "reply": {"content": "One two three", "tool_calls": [{"name": "f"}]}},
        {"when": {"user": "B"}, "reply": {"blocks": blocks, "template": True}, "stream": {"split": "tokens"}},
        {"when": {"user": "C"}, "reply": {"generate": {}}},
    ]
    ruleset = Ruleset(load({"rules": rules, "dialect": dialect}))
    warm = Engine(ruleset, 3, strict=True, cache=Cache(10**7))
    requests = [
        {"model": f"m{number % 2}", "input": f"{letter}{number}", "stream": stream, **more}
        for number in range(3)
        for letter in "ABC"
        for stream in (True, False)
        for more in ({}, {"include": ["reasoning.encrypted_content"], "instructions": f"I{number}", "background": True})
    ]
    for request in requests * 2:
        body = json.dumps(request).encode()
        cold = Engine(ruleset, 3, strict=True)
        response = warm.respond(warm.match(body, RESPONSES, {}))
        assert response == cold.respond(cold.match(body, RESPONSES, {}))
        assert isinstance(response, Response)
        assert response.plan.status == 200
