"""An error in a stream: the events that report it, and their numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.conftest import respond


def values(
    fault: dict[str, Any], spelling: dict[str, Any] | None = None, dialect: str = "openai"
) -> list[dict[str, Any]]:
    """The events of a stream with this fault."""
    stream = {"stream": {"responses": spelling}} if spelling else {}
    rule = {"reply": {"content": "Hello there"}, "fault": {"kind": "error", **fault}, **stream}
    body = json.dumps({"model": "m", "input": "Hi", "stream": True}).encode()
    plan = respond(App(load({"dialect": dialect, "rules": [rule]})), HttpRequest("POST", "/v1/responses", body)).plan
    return [json.loads(event.data) for event in Decoder().feed(plan.body)]


def test_the_response_fails_after_an_error() -> None:
    """The order of events that was recorded of OpenAI."""
    created, _, error, failed = values({"frame": 2, "code": "insufficient_quota", "message": "No."})
    assert (error["type"], error["error"]["code"], error["error"]["message"]) == ("error", "insufficient_quota", "No.")
    assert failed["type"] == "response.failed"
    assert (failed["response"]["id"], failed["response"]["status"]) == (created["response"]["id"], "failed")
    assert failed["response"]["error"] == {"code": "insufficient_quota", "message": "No."}
    assert [error["sequence_number"], failed["sequence_number"]] == [2, 3]


@pytest.mark.parametrize(
    ("shape", "kinds"),
    [(None, ["error", "response.failed"]), ("message", ["error"]), ("text", ["error"]), ("data", ["response.failed"])],
)
@pytest.mark.parametrize("frame", [0, 1, 3, -1])
def test_an_error_is_numbered_after_the_events_before_it(shape: str | None, kinds: list[str], frame: int) -> None:
    found = values({"frame": frame} | ({"shape": shape} if shape else {}))
    assert [each["type"] for each in found[-len(kinds) :]] == kinds
    assert [each["sequence_number"] for each in found] == list(range(len(found)))


@pytest.mark.parametrize(
    ("spelling", "numbers"),
    [
        ({"numbers": "gaps"}, [0, 2, 4, 6]),
        ({"recorded": {"first": 10}}, [10, 11, 12, 13]),
        ({"numbers": "absent"}, [None] * 4),
    ],
)
def test_an_error_is_numbered_as_the_other_events_are(spelling: dict[str, Any], numbers: list[int | None]) -> None:
    assert [each.get("sequence_number") for each in values({"frame": 2}, spelling)] == numbers


def test_comments_do_not_count() -> None:
    """The first frame of openrouter is a comment."""
    assert [each["sequence_number"] for each in values({"frame": 3}, dialect="openrouter")] == [0, 1, 2, 3]


def test_the_keys_of_an_error_are_in_the_order_of_the_dialect() -> None:
    *_, error, _ = values({"frame": 1}, dialect="xai")
    assert list(error) == ["sequence_number", "type", "error"]
