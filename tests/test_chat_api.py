"""Chat completions as an API: recorded streams play again, chunks are numbered as they are sent, stream and body agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.chat.api import CHAT
from fakellm.apis.chat.habits import split
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.events import events_of
from fakellm.apis.protocol import Answer
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.fuzzing.strategies import streams
from fakellm.model.blocks import Completion, Usage
from fakellm.model.deltas import End
from fakellm.model.fold import fold
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import reply_of
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.wire.sse import Decoder
from tests.conftest import CORPUS, chat, respond
from tests.recorded_replies import OF_CHAT
from tests.test_core_laws import COMPLETIONS, DIVISIONS
from tests.toy_api import TOY, Habits

HABITS = split(Variation(), DIALECTS["openai"]).habits
STREAMS: dict[str, list[tuple[Path, int]]] = {}
for _reply in OF_CHAT:
    if _reply.stream:
        STREAMS.setdefault(_reply.provider, []).append((_reply.file, _reply.number))


def sent(scenario: dict[str, Any], **fields: Any) -> bytes:
    return respond(App(load(scenario)), HttpRequest("POST", "/v1/chat/completions", chat(**fields))).plan.body


def frames(scenario: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    events = Decoder().feed(sent(scenario, stream=True, **fields))
    return [json.loads(event.data) for event in events if event.data != "[DONE]"]


@pytest.mark.skipif(not STREAMS, reason=f"the recordings are not here: no {CORPUS / 'index.json'}")
@pytest.mark.parametrize("provider", sorted(STREAMS) or ["none"])
def test_recorded_streams_play_again(provider: str) -> None:
    for file, number in STREAMS.get(provider, ()):
        body = read_file(file).interactions[number - 1].response.body
        batches = renumbered(CHAT.read(Decoder().feed(body), HABITS))
        completion, _ = fold(batches)
        assert play(completion, observe(batches)) == batches, file


@given(streams("all"), st.sampled_from(sorted(DIALECTS)))
def test_the_block_of_habits_gives_the_same_habits(scenario: Scenario, dialect: str) -> None:
    stream = msgspec.structs.replace(scenario.rules[0].stream, transfer=None)  # it decides the margins of a body
    habits = split(stream, DIALECTS[dialect]).habits
    name, block = CHAT.block(habits)
    again = split(block, DIALECTS[name or ""]).habits
    assert again == msgspec.structs.replace(habits, role=again.role if habits.role == "once" else habits.role)


@given(COMPLETIONS, st.sampled_from(sorted(DIALECTS)), st.booleans())
def test_a_stream_and_a_body_mean_the_same(completion: Completion, dialect: str, functions: bool) -> None:
    """Where functions are requested too: one call at most, and no id."""
    meant = CHAT.expressible(completion, HABITS)
    values = {"id": "c", "created": 1, "model": "m", "system_fingerprint": None}
    scenario = Scenario(dialect=dialect, rules=(Rule(reply=reply_of(meant, values)),))
    options: dict[str, Any] = {"functions": [{"name": "f"}]} if functions else {}
    streamed = _folded(scenario, dialect, True, {**options, "stream_options": {"include_usage": True}})
    assert streamed == _folded(scenario, dialect, False, options)


def _folded(scenario: Scenario, dialect: str, stream: bool, options: dict[str, Any]) -> tuple[Any, Any]:
    app = App(load(dump(scenario)))
    body = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=stream, **options))).plan.body
    habits = split(Variation(), DIALECTS[dialect]).habits
    if stream:
        batches = CHAT.read(Decoder().feed(body), habits)
        found: list[Any] = [json.loads(event.data) for event in Decoder().feed(body) if event.data != "[DONE]"]
        deltas = [(choice["index"], choice["delta"]) for frame in found for choice in frame["choices"]]
    else:
        batches = CHAT.read_whole(body, habits)
        deltas = [(choice["index"], choice["message"]) for choice in json.loads(body)["choices"]]
    called: dict[int, tuple[str, str]] = {}
    for index, delta in deltas:
        call = delta.get("function_call") or {}
        name, arguments = called.get(index, ("", ""))
        called[index] = (name + (call.get("name") or ""), arguments + (call.get("arguments") or ""))
    return fold(batches)[0], called


def test_a_reply_to_functions_has_one_call_streamed_and_not() -> None:
    calls = [{"name": "f", "arguments": '{"a":1}', "id": "a"}, {"name": "g", "id": "b"}]
    scenario = {"rules": [{"reply": {"tool_calls": calls}}]}
    functions = [{"name": "f"}, {"name": "g"}]
    found = [
        choice["delta"].get("function_call") or {}
        for frame in frames(scenario, functions=functions)
        for choice in frame["choices"]
    ]
    assert [call["name"] for call in found if "name" in call] == ["f"]
    assert "".join(call.get("arguments", "") for call in found) == '{"a":1}'
    (whole,) = json.loads(sent(scenario, functions=functions))["choices"]
    assert whole["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_chunks_are_numbered_as_they_are_sent(dialect: str) -> None:
    """By `padding`, `ticks` and `spelling.each` alike, also where the provider opens with a chunk of its own."""
    reply = {"reasoning": "Hm", "content": "One two", "created": 100}
    stream = {
        "padding": [{"before": [2], "delta": {"content": "", "x": 1}}],
        "ticks": [2],
        "spelling": {"each": {"y": {2: "here"}}},
    }
    found = frames({"dialect": dialect, "rules": [{"reply": reply, "stream": stream}]})
    assert [number for number, frame in enumerate(found) if frame.get("y") == "here"] == [2]
    assert [
        number for number, frame in enumerate(found) if "x" in str(frame["choices"]) and '"x": 1' in json.dumps(frame)
    ] == [2]
    if "created" in found[2]:
        ticked = [number for number, frame in enumerate(found) if frame["created"] == 101]
        assert ticked == list(range(2, len(found)))


def test_a_stream_without_a_good_end_is_not_whole() -> None:
    data = sent({"rules": [{"reply": {"content": "Hi"}}]}, stream=True)
    events = Decoder().feed(data)
    assert fold(CHAT.read(events, HABITS))[1] == End()
    assert fold(CHAT.read(events[:-1], HABITS))[1] == End()  # a clean end, after the choice has finished
    assert fold(CHAT.read(events[:-1], HABITS, choices=2))[1] is None
    assert fold(CHAT.read(events[:-2], HABITS))[1] is None
    error = sent(
        {"rules": [{"reply": {"content": "Hi"}, "fault": {"kind": "error", "frame": 2, "message": "Boom"}}]},
        stream=True,
    )
    end = fold(CHAT.read(Decoder().feed(error), HABITS))[1]
    assert end is not None
    assert end.error["message"] == "Boom"


@given(COMPLETIONS, DIVISIONS, st.sampled_from(sorted(DIALECTS)), st.data())
def test_any_batches_can_be_written(
    completion: Completion, division: Division, dialect: str, data: st.DataObject
) -> None:
    """Those of another API too, and in any order: one item for each batch, and nothing is raised."""
    batches = list(divide(completion, division, TOY.grammar(Habits()), Source(0)))
    batches = data.draw(st.permutations(batches))[: data.draw(st.integers(0, len(batches)))]
    habits = split(Variation(), DIALECTS[dialect]).habits
    answer = Answer(completion, habits, {"id": "c", "created": 1, "model": "m"}, Source(0))
    assert len(events_of(CHAT, batches, answer)) == len(batches)


@pytest.mark.parametrize("provider", sorted(STREAMS) or ["none"])
def test_what_is_read_from_a_recording_means_the_same_when_it_is_written(provider: str) -> None:
    for file, number in STREAMS.get(provider, ()):
        body = read_file(file).interactions[number - 1].response.body
        batches = renumbered(CHAT.read(Decoder().feed(body), HABITS))
        completion, end = fold(batches)
        answer = Answer(completion, HABITS, {"id": "c", "created": 1, "model": "m"}, Source(0))
        events = [event for events in events_of(CHAT, batches, answer) for event in events]
        again, ended = fold(CHAT.read(events, HABITS))
        assert again == completion, file
        assert (ended is None or ended.error is None) == (end is None or end.error is None), file


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_tokens_written_to_the_cache_come_back(dialect: str) -> None:
    usage = {"prompt": 60, "completion": 9, "cached": 20, "cache_write": 30, "reasoning": 2}
    scenario = load({"dialect": dialect, "rules": [{"reply": {"content": "Hi", "usage": usage}}]})
    for stream in (True, False):
        options = {"stream_options": {"include_usage": True}} if stream else {}
        found, _ = _folded(scenario, dialect, stream, options)
        assert found.usage == Usage(60, 9, 20, 30, 2)


@pytest.mark.parametrize("shape", ["data", "chunk", "event", "message", "text"])
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_an_error_in_a_stream_is_read_in_every_shape(dialect: str, shape: str) -> None:
    fault = {"kind": "error", "frame": 1, "shape": shape, "message": "Boom"}
    body = sent({"dialect": dialect, "rules": [{"reply": {"content": "a b"}, "fault": fault}]}, stream=True)
    _, end = fold(CHAT.read(Decoder().feed(body), split(Variation(), DIALECTS[dialect]).habits))
    assert end is not None
    assert "Boom" in str(end.error)
