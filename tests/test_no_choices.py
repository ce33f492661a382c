"""Chunks without choices, which have an empty list, null or no key in their place, and usage before the real one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.importing.importer import imported
from fakellm.scenarios.loader import dump, load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.conftest import chat, respond
from tests.test_import import HELLO, answered, recording, streamed

ABSENT = object()
REPLY = {"content": "ab", "id": "c", "created": 9, "model": "m"}


def chunks(stream: dict[str, Any], dialect: str = "openai") -> list[dict[str, Any]]:
    scenario = {"dialect": dialect, "rules": [{"reply": REPLY, "stream": {"split": 1} | stream}]}
    body = chat(stream=True, stream_options={"include_usage": True})
    sent = respond(App(load(scenario)), HttpRequest("POST", "/v1/chat/completions", body)).plan.body
    return [json.loads(event.data) for event in Decoder().feed(sent) if event.data != "[DONE]"]


@pytest.mark.parametrize(("how", "value"), [(False, []), ("null", None), ("absent", ABSENT)])
@pytest.mark.parametrize("dialect", ["openai", "azure", "xai"])
def test_one_chunk_amid_the_content_has_no_choices(how: Any, value: Any, dialect: str) -> None:
    padding = [{"before": "delta", "choices": how, "chunk": {"ping": 1}}]
    plain, found = chunks({"padding": []}, dialect), chunks({"padding": padding}, dialect)
    (odd,) = (chunk for chunk in found if "ping" in chunk)
    assert odd.get("choices", ABSENT) == value
    assert (odd["id"], odd["ping"]) == ("c", 1)
    assert len(found) == len(plain) + 1
    assert all("choices" in chunk for chunk in found if chunk is not odd)


@pytest.mark.parametrize(("how", "value"), [("empty", []), ("null", None), ("absent", ABSENT)])
def test_the_chunk_with_the_usage_has_no_choices(how: str, value: Any) -> None:
    *others, last = chunks({"usage_choices": how})
    assert last["usage"]["total_tokens"] > 0
    assert last.get("choices", ABSENT) == value
    assert all(chunk["choices"] for chunk in others)


def test_a_chunk_may_follow_the_usage() -> None:
    *others, usage, last = chunks({"padding": [{"before": "end", "choices": False, "chunk": {"moderation": {}}}]})
    assert usage["usage"]["total_tokens"] > 0
    assert (last["choices"], last["moderation"], last["usage"]) == ([], {}, None)
    assert all(chunk["choices"] for chunk in others)


def test_counts_of_zero_come_before_the_real_ones() -> None:
    *others, last = chunks({"usage_before": "zeros"})
    assert {chunk["usage"]["total_tokens"] for chunk in others} == {0}
    assert last["usage"]["total_tokens"] > 0


def data(**keys: Any) -> bytes:
    return (
        b"data: " + json.dumps({"id": "c", "created": 9, "model": "m"} | keys, separators=(",", ":")).encode() + b"\n\n"
    )


def delta(**keys: Any) -> dict[str, Any]:
    return {"index": 0, "delta": keys, "finish_reason": None}


COUNTS = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
OPENING = data(choices=[delta(role="assistant", content="A")])
REST = (data(choices=[delta(content="B")]), data(choices=[delta() | {"finish_reason": "stop"}]))
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("pieces", "stream"),
    [
        ((OPENING, data(), *REST, DONE), "choices: absent"),
        ((OPENING, data(choices=None), *REST, DONE), "choices: 'null'"),
        ((OPENING, *REST, data(choices=[], usage=COUNTS), data(choices=[]), DONE), "before: end"),
        ((OPENING, *REST, data(usage=COUNTS), DONE), "usage_choices: absent"),
        ((OPENING, *REST, data(choices=None, usage=COUNTS), DONE), "usage_choices: 'null'"),
    ],
)
def test_they_are_imported_by_meaning(pieces: tuple[bytes, ...], stream: str) -> None:
    cassette = recording((HELLO, streamed(*pieces)))
    scenario, (report,) = imported([cassette])
    assert (report.outcome, scenario.rules[0].patch) == ("meaning", ())
    assert stream in dump(scenario)
    assert answered(scenario, cassette.interactions[0].request) == cassette.interactions[0].response.body


def test_zeros_before_the_usage_are_imported_by_meaning() -> None:
    zeros = dict.fromkeys(COUNTS, 0)
    pieces = [data(choices=[delta(role="assistant", content="A")], usage=zeros)]
    pieces += [data(choices=[delta(content="B")], usage=zeros)]
    pieces += [data(choices=[delta() | {"finish_reason": "stop"}], usage=COUNTS), DONE]
    cassette = recording((HELLO, streamed(*pieces)))
    scenario, (report,) = imported([cassette])
    assert report.outcome == "meaning"
    assert "usage_before: zeros" in dump(scenario)
    assert answered(scenario, cassette.interactions[0].request) == cassette.interactions[0].response.body
