"""What a reasoning has where it begins, where it is done and in the whole response, by dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.conftest import respond

REASONING = {"type": "thinking", "parts": ["Hm"], "signature": "gAAAA-cipher", "own": {"responses": {"format": "x"}}}


def items(dialect: str, recorded: dict[str, Any] | None = None) -> tuple[dict[str, Any], ...]:
    """The reasoning of a stream as it begins, as it is done, and in the whole response."""
    rule = {
        "reply": {"blocks": [REASONING, {"type": "text", "text": "Hi"}]},
        "stream": {"responses": {"output": True, "recorded": {"items": recorded or {}}}},
    }
    body = json.dumps({"model": "m", "input": "Hi", "stream": True}).encode()
    plan = respond(App(load({"dialect": dialect, "rules": [rule]})), HttpRequest("POST", "/v1/responses", body)).plan
    values = [json.loads(event.data) for event in Decoder().feed(plan.body) if event.data != "[DONE]"]
    added, done = (
        next(value["item"] for value in values if value["type"] == f"response.output_item.{at}")
        for at in ("added", "done")
    )
    return added, done, values[-1]["response"]["output"][0]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_some_send_the_ciphertext_of_a_reasoning_only_when_it_is_done(dialect: str) -> None:
    """Recorded of xai and openrouter; openai, azure and bedrock-mantle were recorded with one from the beginning."""
    added, done, output = items(dialect)
    assert ("encrypted_content" in added) == (dialect not in ("xai", "openrouter"))
    assert done["encrypted_content"] == "gAAAA-cipher"
    assert output["encrypted_content"]
    assert [each["format"] for each in (added, done, output)] == ["x", "x", "x"]


def test_a_recorded_ciphertext_is_sent_where_it_was_recorded() -> None:
    added, done, _ = items("xai", {"0@added": {"encrypted_content": "early"}})
    assert (added["encrypted_content"], done["encrypted_content"]) == ("early", "gAAAA-cipher")
