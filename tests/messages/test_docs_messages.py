"""docs/reference/messages.md: its examples run, and it names every route, every key with an effect and every dialect."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.http import urls
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import ROOT, respond

TEXT = (ROOT / "docs" / "reference" / "messages.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- test: python -->\n```python\n(.*?)```", TEXT, re.DOTALL)
(SCENARIO,) = re.findall(r"<!-- test: yaml -->\n```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_no_example_is_left_out() -> None:
    assert len(EXAMPLES) + 1 == TEXT.count("```") / 2


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str) -> None:
    pytest.importorskip("anthropic")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_the_scenario_sends_the_blocks_that_it_lists() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    plan = respond(
        App(load(SCENARIO)),
        HttpRequest("POST", "/v1/messages", json.dumps(body).encode(), {"anthropic-version": "2023-06-01"}),
    ).plan
    message = json.loads(plan.body)
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["thinking", "redacted_thinking", "server_tool_use", "web_search_tool_result", "text"]
    assert message["content"][0] == {"type": "thinking", "thinking": "", "signature": "RXhhbXBsZQ=="}
    assert message["content"][4]["citations"][0]["cited_text"] == "rain"
    assert message["stop_reason"] == "end_turn"
    usage = message["usage"]
    counts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert [usage[key] for key in counts] == [10, 100, 20]
    assert usage["server_tool_use"] == {"web_search_requests": 1}


def test_every_route_is_in_the_table() -> None:
    assert all(f"`POST {route}`" in TEXT for route in (urls.MESSAGES, urls.COUNT))
    assert set(re.findall(r"`POST (/v1/messages[a-z_/]*)`", TEXT)) == {urls.MESSAGES, urls.COUNT}


def test_every_key_with_an_effect_is_named() -> None:
    assert {key for key in MESSAGES.stream_keys if f"`{key.partition('.')[0]}" not in TEXT} == set()
    assert all(f"`{name}`" in TEXT for name in MESSAGES.dialects)
