"""A response that was saved alone shows which API sent it, so that it is served and imported under its route."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.importing.importer import imported
from fakellm.recordings.formats import read, read_file
from fakellm.recordings.formats.unknown_request import request_for
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.matching import When
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import respond

CHAT = "/v1/chat/completions"
GEMINI = "/v1beta/models/{model}:"
FOUND: list[tuple[Any, str | None, str]] = [
    ({"object": "chat.completion", "choices": []}, CHAT, CHAT),
    ({"id": "resp_1", "object": "response"}, "/v1/responses", "/v1/responses"),
    ({"type": "response.created", "response": {"object": "response"}}, None, "/v1/responses"),
    ({"type": "message_start", "message": {}}, "/v1/messages", "/v1/messages"),
    ({"type": "message", "content": []}, "/v1/messages", "/v1/messages"),
    ({"type": "error", "error": {"type": "overloaded_error"}}, "/v1/messages", "/v1/messages"),
    ({"candidates": []}, GEMINI + "generateContent", GEMINI + "streamGenerateContent?alt=sse"),
    (
        {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}},
        GEMINI + "generateContent",
        GEMINI + "streamGenerateContent?alt=sse",
    ),
    ({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {}, "done": False}, "/api/chat", "/api/chat"),
    ({"model": "m", "created_at": "2026-01-01T00:00:00Z", "response": ""}, "/api/generate", "/api/generate"),
    ({"error": {"message": "no", "code": "invalid"}}, CHAT, CHAT),
]


@pytest.mark.parametrize(("value", "whole", "stream"), FOUND)
def test_the_first_object_of_a_body_shows_its_api(value: dict[str, Any], whole: str | None, stream: str) -> None:
    text = json.dumps(value, indent=2).encode()
    events = b": a comment\n\nevent: x\ndata: %b\n\ndata: [DONE]\n\n" % json.dumps(value).encode()
    for body, path in ((text, whole), (events, stream)) if whole else ((events, stream),):
        assert (request_for(body).url, request_for(body).body) == (path, b"")
        assert read(body, "saved.txt").interactions[0].request.url == path


def test_an_array_is_a_stream_of_gemini() -> None:
    body = json.dumps([{"candidates": []}, {"usageMetadata": {}}]).encode()
    assert read(body, "saved.json").interactions[0].request.url == GEMINI + "streamGenerateContent"


@given(st.binary())
def test_any_body_has_a_request(body: bytes) -> None:
    assert request_for(body).method == "POST"


@pytest.mark.parametrize(("path", "key"), [("/api/chat", "message"), ("/api/generate", "response")])
def test_lines_of_ollama_stay_lines(path: str, key: str) -> None:
    line = json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", key: {"content": "a"}, "done": False})
    body = f"{line}\n{line}\n".encode()
    (found,) = read(body, "saved.ndjson").interactions
    assert (found.request.url, found.response.body) == (path, body)
    assert dict(found.response.headers)["Content-Type"] == "application/x-ndjson"


SAVED: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "chat": (
        {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "A"}, "finish_reason": "stop"}]},
        "/v1/chat/completions",
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    ),
    "gemini": (
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "B"}]}, "finishReason": "STOP"}]},
        "/v1beta/models/gemini-9-flash:generateContent",
        {"contents": [{"parts": [{"text": "Hi"}]}]},
    ),
    "ollama": (
        {
            "model": "m",
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": "C"},
            "done": True,
        },
        "/api/chat",
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": False},
    ),
}
"""By API: a body that was saved alone, and a request to this API."""


def test_bodies_of_several_apis_answer_requests_of_their_own_api(tmp_path: Path) -> None:
    files = []
    for name, (body, _, _) in SAVED.items():
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(body))
    scenario, _ = imported([read_file(file) for file in files])
    assert [(rule.when.api, rule.then) for rule in scenario.rules] == [(name, ()) for name in SAVED]
    for app in (App(load(dump(scenario)), strict=True), Replay([read_file(file) for file in files])):
        for body, path, request in SAVED.values():
            sent = respond(app, HttpRequest("POST", path, json.dumps(request).encode())).plan
            assert (sent.status, json.loads(sent.body)) == (200, body)


def test_a_saved_stream_and_a_saved_body_answer_what_is_requested(tmp_path: Path) -> None:
    chunk = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"S"},"finish_reason":"stop"}]}\n\n'
    (tmp_path / "a.sse").write_bytes(chunk + b"data: [DONE]\n\n")
    (tmp_path / "a.json").write_text(json.dumps(SAVED["chat"][0]))
    scenario, _ = imported([read_file(tmp_path / "a.sse"), read_file(tmp_path / "a.json")])
    assert [rule.when for rule in scenario.rules] == [When(api="chat", stream=True), When(api="chat", stream=False)]
