"""Requests to each API that no client sends on purpose: whatever is in a body, no exception ends it, and it is short."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import handled

FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
BODIES: dict[str, dict[str, Any]] = {
    "/api/chat": {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi", "images": ["aGk="]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            {"role": "tool", "content": "r", "tool_name": "f"},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
        "format": {"type": "object"},
        "options": {"num_predict": 3, "stop": ["x"]},
        "think": True,
    },
    "/api/generate": {"model": "m", "prompt": "Hi", "suffix": "x", "stream": False, "format": "json", "context": [1]},
    "/api/embed": {"model": "m", "input": ["a", "b"], "dimensions": 3},
    "/api/show": {"model": "m"},
    "/v1/messages": {
        "model": "m",
        "max_tokens": 10,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "r"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stream": True,
    },
    "/v1/responses": {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "r"},
        ],
        "tools": [{"type": "function", **FUNCTION}],
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "text"}},
        "store": True,
        "stream": True,
    },
    "/v1beta/models/m:streamGenerateContent?alt=sse": {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
        "generationConfig": {"maxOutputTokens": 5, "candidateCount": 1, "responseMimeType": "application/json"},
        "systemInstruction": {"parts": [{"text": "s"}]},
    },
}
RULES = {
    "rules": [
        {"when": {"user": "Hi"}, "reply": {"content": "{{user}}", "template": True}},
        {"when": {"model": "never"}, "reply": {"content": "b"}},
    ]
}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            None,
            True,
            -1,
            0,
            1.5,
            1e308,
            10**30,
            10**400,
            "",
            "\ud800",
            "x" * 3_000,
            "\0",
            "auto",
            [],
            {},
            [[]],
            [None],
        ),
        *({"": None}, {"\ud800": 1}, {"$ref": "#"}, {"type": "string", "pattern": "("}, {"type": {}}, [1] * 300),
    ]
)
KEYS = st.sampled_from(["\ud800", "x" * 3_000, "", "role", "type", "id"])
APPS = [App(load(RULES)), App(load(RULES), strict=True), App()]
for each in APPS:
    each.offloads = False


@settings(max_examples=250)
@given(st.data())
@pytest.mark.parametrize("path", BODIES)
def test_no_body_fails(path: str, data: st.DataObject) -> None:
    body = deepcopy(BODIES[path])
    for _ in range(data.draw(st.integers(1, 3))):
        parent: Any = body
        while True:
            places = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
            if not places:
                break
            place = data.draw(st.sampled_from(places))
            if not isinstance(parent[place], dict | list) or data.draw(st.booleans()):
                parent[place] = deepcopy(data.draw(ODD))
                break
            parent = parent[place]
        if isinstance(parent, dict) and data.draw(st.booleans()):
            parent[data.draw(KEYS)] = deepcopy(data.draw(ODD))
    for app in APPS:
        response, entry = handled(app, HttpRequest("POST", path, json.dumps(body).encode()))
        assert response.head.status is not None
        assert response.plan.frames is not None
        assert len(entry.explanation or "") < 8_000
        msgspec.json.encode(entry.explanation)
