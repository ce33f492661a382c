"""Keys of a tool call that only some providers send, in streams and whole bodies, without a patch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.apis.variation_blocks import Calls
from fakellm.importing.importer import imported
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.conftest import chat, respond
from tests.test_import import HELLO, answered, recording, streamed

SIGNED = {"extra_content": {"google": {"thought_signature": "EjQK"}}}
CALL = {"name": "search", "id": "i", "arguments": {"q": "x"}}


def calls_of(scenario: dict[str, Any], stream: bool) -> list[dict[str, Any]]:
    """The tool calls of what is sent, piece by piece if it is a stream."""
    body = respond(App(load(scenario)), HttpRequest("POST", "/v1/chat/completions", chat(stream=stream))).plan.body
    if not stream:
        return list(json.loads(body)["choices"][0]["message"]["tool_calls"])
    events = [json.loads(event.data) for event in Decoder().feed(body) if event.data != "[DONE]"]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    return [call for delta in deltas for call in delta.get("tool_calls", ())]


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_has_the_signature_of_its_thoughts(stream: bool) -> None:
    rule = {
        "reply": {"tool_calls": [CALL | {"own": {"chat": SIGNED}}, CALL | {"id": "j"}]},
        "stream": {
            "calls": {"index": "absent"},
            "spelling": {"call_keys": ["extra_content", "function", "id", "type"]},
        },
    }
    signed, plain = calls_of({"rules": [rule], "dialect": "xai"}, stream)
    assert list(signed) == ["extra_content", "function", "id", "type"]
    assert signed["extra_content"] == SIGNED["extra_content"]
    assert "google" not in str(plain)


def test_a_recorded_signature_is_the_reply_s_own() -> None:
    call = {"function": {"arguments": "{}", "name": "f"}, "id": "i", "type": "function"} | SIGNED
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]}
    cassette = recording((HELLO, streamed(b"data: " + json.dumps(chunk).encode() + b"\n\n", b"data: [DONE]\n\n")))
    scenario, report = imported([cassette])
    assert report[0].outcome == "meaning"
    assert scenario.rules[0].reply.tool_calls[0].own == {"chat": SIGNED}
    assert answered(scenario, cassette.interactions[0].request) == cassette.interactions[0].response.body


def test_an_empty_object_of_another_kind_stands_beside_every_function() -> None:
    spelling: dict[str, Any] = {"extra": {"call.custom": {}, "piece.custom": {}}}
    rule = {"reply": {"tool_calls": [CALL]}, "stream": {"split": {"arguments": 3}, "spelling": spelling}}
    pieces = calls_of({"rules": [rule]}, True)
    assert len(pieces) > 2
    assert all(piece["custom"] == {} for piece in pieces)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["chat/completions", "messages"])
def test_an_empty_id_is_sent_as_it_is(path: str, stream: bool) -> None:
    app = App(load({"rules": [{"reply": {"tool_calls": [CALL | {"id": ""}]}}]}))
    body = chat(stream=stream, max_tokens=9)
    sent = respond(app, HttpRequest("POST", f"/v1/{path}", body, {"anthropic-version": "2023-06-01"})).plan.body
    assert b'"id":""' in sent.replace(b": ", b":")


def test_a_custom_call_continues_with_nulls_in_place_of_its_other_keys() -> None:
    call = {"name": "patch", "id": "c", "kind": "custom", "arguments": "*** Begin Patch"}
    stream = {"split": {"arguments": 9}, "calls": {"id": "null", "type": "null"}}
    stream |= {"spelling": {"extra": {"piece.function": None}}}
    opening, *pieces = calls_of({"rules": [{"reply": {"tool_calls": [call]}, "stream": stream}]}, True)
    assert opening == {"index": 0, "id": "c", "type": "custom", "custom": {"name": "patch", "input": ""}}
    nulls = {"index": 0, "id": None, "type": None, "function": None}
    assert pieces == [nulls | {"custom": {"input": "*** Begin"}}, nulls | {"custom": {"input": " Patch"}}]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("value", "expected"), [("", ""), (None, None)])
def test_the_id_of_a_call_may_be_empty_null_or_absent(stream: bool, value: Any, expected: Any) -> None:
    rule = {"reply": {"tool_calls": [CALL]}, "stream": {"split": "whole", "spelling": {"extra": {"call.id": value}}}}
    assert calls_of({"rules": [rule]}, stream)[0]["id"] == expected
    rule = {
        "reply": {"tool_calls": [CALL]},
        "stream": {"split": "whole", "spelling": {"call_keys": ["type", "function"]}},
    }
    assert set(calls_of({"rules": [rule]}, stream)[0]) == {"type", "function"}


@pytest.mark.parametrize("stream", [True, False])
def test_a_stream_and_a_body_have_the_same_extra_keys(stream: bool) -> None:
    extra = {"": 1, "x": 2, "choice.x": 3, "usage.x": 4, "call.x": 5}
    rule = {"reply": {"tool_calls": [CALL]}, "stream": {"split": "whole", "spelling": {"extra": extra}}}
    body = chat(stream=stream, stream_options={"include_usage": True}) if stream else chat()
    sent = respond(App(load({"rules": [rule]})), HttpRequest("POST", "/v1/chat/completions", body)).plan.body
    events = [json.loads(event.data) for event in Decoder().feed(sent) if event.data != "[DONE]"]
    objects = events if stream else [json.loads(sent)]
    assert all((each[""], each["x"]) == (1, 2) for each in objects)
    assert all(choice["x"] == 3 for each in objects for choice in each["choices"])
    assert objects[-1]["usage"]["x"] == 4
    assert calls_of({"rules": [rule]}, stream)[0]["x"] == 5


@pytest.mark.parametrize("call_id", [{"id": ""}, {"id": None}, {}])
def test_a_recorded_call_without_an_id_is_imported_by_meaning(call_id: dict[str, Any]) -> None:
    call = {"index": 0} | call_id | {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]}
    cassette = recording((HELLO, streamed(b"data: " + json.dumps(chunk).encode() + b"\n\n", b"data: [DONE]\n\n")))
    scenario, report = imported([cassette])
    assert report[0].outcome == "meaning"
    assert answered(scenario, cassette.interactions[0].request) == cassette.interactions[0].response.body


@pytest.mark.parametrize("late", [{"id": "late"}, {"name": "late"}, {"id": "late", "name": "late"}])
def test_what_a_recorded_call_has_late_is_imported_as_late(late: dict[str, Any]) -> None:
    rule = {"reply": {"tool_calls": [CALL, CALL | {"id": "j"}]}, "stream": {"split": {"arguments": 3}, "calls": late}}
    body = respond(
        App(load({"rules": [rule]})), HttpRequest("POST", "/v1/chat/completions", chat(stream=True))
    ).plan.body
    cassette = recording((HELLO, streamed(body)))
    scenario, report = imported([cassette])
    assert report[0].outcome == "meaning"
    assert scenario.rules[0].stream.calls == Calls(**late)
    assert [call.id for call in scenario.rules[0].reply.tool_calls] == ["i", "j"]
    assert answered(scenario, cassette.interactions[0].request) == body
