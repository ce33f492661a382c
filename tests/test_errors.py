"""What every provider says when it fails, to the byte, and that it is what was recorded.

The expected bodies lie in `tests/golden/<dialect>/errors.txt`: a line with status and Content-Type, then the body.
``python -m tests.test_errors`` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.chat.error_body import error_body, error_json
from fakellm.apis.chat.error_style import Failure
from fakellm.apis.chat.providers import DIALECTS
from fakellm.base.json_text import dumps
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import CORPUS, ROOT, chat, respond

GOLDEN = ROOT / "tests" / "golden"
STATUSES = (400, 401, 404, 429, 500, 503)


def answered(name: str, fault: dict[str, Any], stream: bool = False) -> tuple[dict[str, str], bytes]:
    """Headers and body of what a rule with the fault sends in a dialect."""
    rule = {"reply": {"content": "Hi"}, "fault": fault}
    scenario = load({"dialect": name, "rules": [rule]})
    plan = respond(App(scenario), HttpRequest("POST", "/v1/chat/completions", chat(stream=stream))).plan
    return dict(plan.headers), plan.body


def golden(name: str) -> str:
    said = [(status, *answered(name, {"kind": "status", "status": status})) for status in STATUSES]
    return "\n".join(f"{status} {headers['Content-Type']}\n{body.decode()}" for status, headers, body in said)


def file_of(name: str) -> Path:
    return GOLDEN / name / "errors.txt"


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_sends_its_golden_errors(name: str) -> None:
    assert golden(name) == file_of(name).read_text(encoding="utf-8")


@given(st.sampled_from(list(DIALECTS)), st.integers(200, 999), st.text(max_size=9))
def test_every_status_has_a_body_with_the_message(name: str, status: int, message: str) -> None:
    body = error_body(DIALECTS[name], Failure(status, message))
    assert message in _values(json.loads(body))


@given(st.sampled_from(list(DIALECTS)), st.integers(200, 999))
def test_a_code_that_is_set_is_sent_or_none_is(name: str, status: int) -> None:
    usual, given_ = (
        dumps(error_json(DIALECTS[name], failure)) for failure in (Failure(status), Failure(status, code="my_code"))
    )
    assert ("my_code" in given_) == (usual != given_)


def _values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for item in value.values() for each in _values(item)]
    return [each for item in value for each in _values(item)] if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai", b'data: {"error":{"message":"Boom","type":"server_error","param":null,"code":null}}\n\ndata: [DONE]\n\n'),
        ("groq", b'event: error\ndata: {"error":{"message":"Boom","type":"internal_server_error","status_code":500}}\n\n'),
        ("xai", b'data: {"code":"Internal error","error":"Boom"}\n\ndata: [DONE]\n\n'),
        ("zai", b'data: {"error":{"code":"500","message":"Boom"}}\n\ndata: [DONE]\n\n'),
        ("azure", b'data: {"error":{"message":"Boom","type":"server_error","param":null,"code":null}}\n\ndata: [DONE]\n\n'),
    ],
)  # fmt: skip
def test_an_error_in_a_stream_is_the_providers(name: str, expected: bytes) -> None:
    assert answered(name, {"kind": "error", "frame": 0, "message": "Boom"}, stream=True)[1] == expected


def test_openrouter_sends_an_error_in_a_chunk() -> None:
    error, done = answered("openrouter", {"kind": "error", "frame": 0, "status": 502}, stream=True)[1].split(b"\n\n", 1)
    chunk = json.loads(error.removeprefix(b"data: "))
    assert chunk["error"] == {"code": 502, "message": "Provider returned error"}
    assert chunk["choices"][0]["finish_reason"] == "error"
    assert done == b"data: [DONE]\n\n"


OTHERWISE = {
    "pydantic-ai/models/test_groq/test_tool_use_failed_error.yaml": "the text that was no call",
    "pydantic-ai/models/test_groq/test_tool_use_failed_error_with_text.yaml": "the text that was no call",
    "rig/llamacpp/error_matrix/context_overflow_blocking.yaml": "the number of tokens, and of those that fit",
}
"""Recordings of what a provider says at a status for another reason, and what that is."""


def recorded() -> list[Any]:
    """Every error body of the recordings: file, provider, status, body."""
    if not (CORPUS / "index.json").exists():
        return []
    index = json.loads((CORPUS / "index.json").read_text(encoding="utf-8"))
    failed = [
        (entry["file"], each["provider"], each["status"])
        for entry in index["entries"]
        for each in entry["exchanges"]
        if (each.get("status") or 0) >= 400 and each["body_bytes"] and each["provider"] in DIALECTS
    ]
    return sorted(set(failed))


def bodies(file: str) -> list[Any]:
    """Every JSON object in a recording that is an error, whatever the recorder's format: text, bytes or parsed."""
    text = (CORPUS / file).read_text(encoding="utf-8")
    parsed = json.loads(text) if file.endswith((".json", ".har")) else list(yaml.load_all(text, yaml.CSafeLoader))
    found: list[Any] = []

    def walk(value: Any) -> None:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str) and value.lstrip().startswith("{"):
            try:
                value = json.loads(value)
            except ValueError:
                return
        if isinstance(value, dict) and ({"error", "detail"} & set(value) or value.get("object") == "error"):
            found.append(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(parsed)
    return found


def shape(value: Any) -> Any:
    """Keys and kinds of a JSON value; a null may stand for a text."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "text" if value is None or isinstance(value, str) else type(value).__name__


_ABSENT = pytest.param("", "", 0, marks=pytest.mark.skip(reason="the recordings are not here"))


@pytest.mark.parametrize(("file", "provider", "status"), recorded() or [_ABSENT])
def test_an_error_has_the_shape_that_was_recorded(file: str, provider: str, status: int) -> None:
    made = shape(error_json(DIALECTS[provider], Failure(status)))
    found = [shape(body) for body in bodies(file)]
    assert found
    if file in OTHERWISE:
        assert made not in found, "it is no exception any more"
    else:
        assert made in found


if __name__ == "__main__":
    for name in DIALECTS:
        file_of(name).write_text(golden(name), encoding="utf-8")
