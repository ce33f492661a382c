"""The laws of an API, for messages: what is written is read back, however it is cut, spelled and divided."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.apis.events import events_of
from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.habits import MessagesHabits
from fakellm.base.seed import Source
from fakellm.fuzzing.strategies import framings
from fakellm.model.blocks import Completion
from fakellm.model.deltas import End
from fakellm.model.fold import fold
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.wire.framing import Framing
from fakellm.wire.sse import Decoder, Event
from tests.conftest import respond
from tests.messages.completions import COMPLETIONS, HABITS, JSON, REQUEST, answer_to, batches_of, read, written
from tests.test_core_laws import DIVISIONS, MISFITS
from tests.test_skeleton import from_scratch


@given(COMPLETIONS, HABITS)
def test_what_can_be_sent_can_be_sent_as_it_is(completion: Completion, habits: MessagesHabits) -> None:
    for whole in (False, True):
        once = MESSAGES.expressible(completion, habits, whole)
        assert MESSAGES.expressible(once, habits, whole) == once


@given(COMPLETIONS, DIVISIONS, HABITS)
def test_a_divided_completion_folds_back(completion: Completion, division: Division, habits: MessagesHabits) -> None:
    meant = MESSAGES.expressible(completion, habits)
    assert fold(divide(meant, division, MESSAGES.grammar(habits), Source(0))) == (meant, End())


@given(COMPLETIONS, DIVISIONS, HABITS, framings(), st.binary(max_size=9))
def test_bytes_come_back_whole_byte_by_byte_and_with_trailing_bytes(
    completion: Completion, division: Division, habits: MessagesHabits, framing: Framing, more: bytes
) -> None:
    answer = answer_to(completion, habits)
    data = written(answer, division, framing)
    decoder = Decoder()
    singles = [event for place in range(len(data)) for event in decoder.feed(data[place : place + 1])]
    assert fold(read(data)) == (answer.completion, End())
    assert fold(MESSAGES.read(singles, habits)) == (answer.completion, End())
    assert fold(read(data + b": " + more.replace(b"\n", b"").replace(b"\r", b""))) == (answer.completion, End())


@given(COMPLETIONS, DIVISIONS, HABITS, st.data())
def test_a_stream_that_is_cut_has_no_good_end(
    completion: Completion, division: Division, habits: MessagesHabits, data: st.DataObject
) -> None:
    events = Decoder().feed(written(answer_to(completion, habits), division))
    stops = next(number for number, event in enumerate(events) if event.event == "message_stop")
    assert fold(MESSAGES.read(events[: data.draw(st.integers(0, stops))], habits))[1] is None


@given(COMPLETIONS, HABITS)
def test_a_whole_body_means_the_same_as_a_stream(completion: Completion, habits: MessagesHabits) -> None:
    streamed = answer_to(completion, habits).completion
    meant = MESSAGES.expressible(completion, habits, whole=True)
    answer = MESSAGES.answer(meant, REQUEST, habits, 0, {})
    read_back = fold(MESSAGES.read_whole(MESSAGES.whole(answer), habits))
    assert read_back == (MESSAGES.expressible(answer.completion, habits, whole=True), End())
    assert read_back[0] == MESSAGES.expressible(streamed, habits, whole=True)


@given(COMPLETIONS, DIVISIONS, HABITS)
def test_an_observed_stream_plays_again(completion: Completion, division: Division, habits: MessagesHabits) -> None:
    batches = renumbered(read(written(answer_to(completion, habits), division)))
    assert play(fold(batches)[0], observe(batches)) == batches


@given(COMPLETIONS, DIVISIONS, HABITS, st.integers(0, 3))
def test_a_filled_skeleton_equals_the_stream_written_from_scratch(
    completion: Completion, division: Division, habits: MessagesHabits, seed: int
) -> None:
    answer = answer_to(completion, habits, seed)
    batches = batches_of(answer, division)
    found = events_of(MESSAGES, batches, answer)
    assert [event.data for events in found for event in events] == from_scratch(MESSAGES, batches, answer)


EVENTS = st.builds(
    Event,
    st.text(max_size=5)
    | st.sampled_from(
        [
            '{"type":"message_start","message":{"content":[{"type":"text","text":"a"}],"stop_reason":5}}',
            '{"type":"message_start","message":{"usage":{"input_tokens":"a"},"content":5}}',
            '{"type":"message_start","message":{}}',
            '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
            '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"f"}}',
            '{"type":"content_block_start","index":"0","content_block":[]}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta"}}',
            '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{"}}',
            '{"type":"content_block_delta","index":0,"delta":5}',
            '{"type":"content_block_delta","index":0,"delta":{"type":[]}}',
            '{"type":"content_block_stop","index":0}',
            '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":-1}}',
            '{"type":"message_delta","delta":null}',
            '{"type":"message_stop"}',
            '{"type":[]}',
            "[" * 2000,
            "null",
        ]
    ),
    st.sampled_from(["message", "message_start", "content_block_delta", "message_stop", "error", "ping", "x"]),
)


@given(st.lists(EVENTS, max_size=6), HABITS)
def test_no_events_make_the_reader_raise(events: list[Event], habits: MessagesHabits) -> None:
    batches = renumbered(MESSAGES.read(events, habits))
    fold(batches)
    MESSAGES.infer(
        events,
    )


@given(st.binary(max_size=20) | JSON.map(lambda value: repr(value).encode()), HABITS)
def test_no_body_makes_the_reader_raise(body: bytes, habits: MessagesHabits) -> None:
    assert fold(MESSAGES.read_whole(body, habits))[1] is not None


@pytest.mark.parametrize("part", MISFITS, ids=str)
@pytest.mark.parametrize("blocks", [[], [{"type": "text", "text": "Hi"}], [{"type": "thinking", "parts": ["a", "b"]}]])
def test_a_score_is_played_as_far_as_the_reply_fits_it(part: dict[str, Any], blocks: list[dict[str, Any]]) -> None:
    runs: list[dict[str, Any]] = [{"parts": [{"part": "start"}]}, {"parts": [{"part": "open"}, part], "times": 2}]
    runs += [{"parts": [part, part]}, {"parts": []}, {"parts": [{"part": "start"}, {"part": "open"}, part]}]
    rule = {"reply": {"blocks": blocks}, "stream": {"score": {"runs": runs}}}
    for stream in (True, False):
        body = json.dumps({**MESSAGES.example(), "stream": stream}).encode()
        answer = respond(
            App(load({"rules": [rule]})), HttpRequest("POST", "/v1/messages", body, {"anthropic-version": "2023-06-01"})
        )
        assert answer.plan.status == 200


def test_two_processes_write_the_same_bytes() -> None:
    code = (
        "from tests.messages.test_laws import example_bytes; import hashlib; "
        "print(hashlib.sha256(example_bytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def example_bytes() -> bytes:
    from fakellm.apis.messages.dialects import DIALECTS
    from fakellm.apis.messages.habits import settings as habits_of
    from fakellm.apis.variation import Variation
    from tests.test_core_laws import MIXED

    found = [habits_of(Variation(), dialect) for dialect in DIALECTS.values()]
    return b"".join(written(answer_to(MIXED, each.habits), replace(each.division, split="tokens")) for each in found)
