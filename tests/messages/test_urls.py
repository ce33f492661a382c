"""Which URLs lead to the Messages API, and what they state."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from fakellm.apis.messages.dialects import DIALECTS
from fakellm.apis.messages.http.urls import COUNT, MESSAGES, MessagesUrl, messages_url
from fakellm.apis.route import target
from fakellm.apis.target import Target
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import respond

VERTEX = "/v1/projects/p/locations/us-east5/publishers/anthropic/models"
US = "us.anthropic.claude-sonnet-4-20250514-v1:0"


@pytest.mark.parametrize(
    "path",
    ["/v1/messages", "/messages", "/api/v1/messages", "/anthropic/v1/messages", "/api/anthropic/v1/messages"],
)
def test_every_usual_base_path(path: str) -> None:
    assert target(path) == Target(MESSAGES, None, "messages")
    assert target(f"{path}/count_tokens") == Target(COUNT, None, "messages")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{VERTEX}/claude@1:rawPredict", MessagesUrl(MESSAGES, "claude@1", False, "vertex")),
        (f"{VERTEX[3:]}/claude%401:streamRawPredict", MessagesUrl(MESSAGES, "claude@1", True, "vertex")),
        (f"{VERTEX}/count-tokens:rawPredict", MessagesUrl(COUNT, dialect="vertex")),
        (f"/model/{quote(US)}/invoke", MessagesUrl(MESSAGES, US, False, "bedrock")),
        (f"/model/{US}/invoke-with-response-stream", MessagesUrl(MESSAGES, US, False, "bedrock", binary=True)),
    ],
)
def test_clouds_have_the_model_in_the_url(path: str, expected: MessagesUrl) -> None:
    assert messages_url(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/messages/batches",
        f"{VERTEX.replace('anthropic', 'google')}/gemini:rawPredict",
        "/model/amazon.nova-lite-v1:0/invoke",
        "/v1/messages2",
    ],
)
def test_other_paths_are_not_its(path: str) -> None:
    assert messages_url(path) is None


def sent(path: str, **more: Any) -> tuple[int | None, Any]:
    app = App(load({"rules": [{"when": {"api": "messages"}, "reply": {"content": "Hi"}}]}), strict=True)
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "a"}], **more}
    plan = respond(app, HttpRequest("POST", path, json.dumps(body).encode())).plan
    return plan.status, json.loads(plan.body)


@pytest.mark.parametrize(
    ("path", "model", "start"),
    [
        (f"/model/{quote(US)}/invoke", "claude-sonnet-4-20250514", "msg_bdrk_01"),
        (f"{VERTEX}/claude-sonnet-4@20250514:rawPredict", "claude-sonnet-4-20250514", "msg_vrtx_01"),
        (f"{VERTEX}/my-model:rawPredict", "my-model", "msg_vrtx_01"),
    ],
)
def test_the_url_decides_the_dialect_and_the_model(path: str, model: str, start: str) -> None:
    status, body = sent(path, anthropic_version="vertex-2023-10-16")
    assert (status, body["model"], body["id"][: len(start)]) == (200, model, start)


def test_requests_for_different_models_in_the_url_are_different_requests() -> None:
    ids = {sent(f"{VERTEX}/{name}:rawPredict")[1]["id"] for name in ("a", "b")}
    assert len(ids) == 2


def test_the_binary_stream_of_bedrock_is_refused() -> None:
    status, body = sent(f"/model/{US}/invoke-with-response-stream")
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert body["error"]["message"].startswith("Streams of AWS's binary event stream are not served: use /model/{id}")


def test_no_other_dialect_changes_the_name_of_a_model() -> None:
    assert DIALECTS["anthropic"].model(US) == US
