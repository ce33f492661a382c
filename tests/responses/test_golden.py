"""What each dialect sends, to the byte, and that it has one meaning, streamed or whole.

The expected bytes are in `tests/golden/responses/<dialect>/`. ``python -m tests.responses.test_golden`` writes them
anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakellm.apis.protocol import Failure
from fakellm.apis.responses.api import RESPONSES
from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.apis.variation import Variation
from fakellm.model.deltas import End
from fakellm.model.fold import fold
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.conftest import ROOT, respond
from tests.responses.draws import Way

GOLDEN = ROOT / "tests" / "golden" / "responses"
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False},
    {"type": "web_search"},
]
TURNS: dict[str, dict[str, Any]] = {
    "tools": {"input": "How warm is it?", "tools": TOOLS, "include": ["reasoning.encrypted_content"]},
    "text": {"input": "Hello", "instructions": "Be brief", "metadata": {"a": "b"}},
}
KINDS = ("sse", "json")
CASES = [(name, turn, kind) for name in DIALECTS for turn in TURNS for kind in KINDS]


def sent(name: str, turn: str, kind: str) -> bytes:
    """What a dialect sends in a turn of the golden scenario, streamed or whole."""
    scenario = msgspec.structs.replace(load(GOLDEN / "scenario.yaml"), dialect=name)
    body = json.dumps({"model": "gpt-5", **TURNS[turn], "stream": kind == "sse"}).encode()
    return respond(App(scenario, strict=True), HttpRequest("POST", "/v1/responses", body)).plan.body


def errors(name: str) -> str:
    """The errors of a dialect: before the stream by status, and in the stream."""
    habits = Way(name, Variation()).habits
    found = [RESPONSES.refuse(Failure(status), habits)[1].decode() for status in (400, 401, 404, 429, 500, 503)]
    for shape in (None, "message", "data"):
        events, _ = RESPONSES.broken(Failure(500), habits, shape, (), 0)
        found += [getattr(event, "data", str(event)) for event in events]
    return "\n".join(found) + "\n"


def file_of(name: str, turn: str, kind: str) -> Path:
    return GOLDEN / name / f"{turn}.{kind}"


@pytest.mark.parametrize(("name", "turn", "kind"), CASES)
def test_a_dialect_sends_its_golden_bytes(name: str, turn: str, kind: str) -> None:
    assert sent(name, turn, kind).decode() == file_of(name, turn, kind).read_bytes().decode()


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_sends_its_golden_errors(name: str) -> None:
    assert errors(name) == (GOLDEN / name / "errors.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("turn", TURNS)
def test_a_stream_and_a_whole_body_mean_the_same(name: str, turn: str) -> None:
    habits = Way(name, Variation()).habits
    streamed = fold(RESPONSES.read(Decoder().feed(sent(name, turn, "sse")), habits))
    whole = fold(RESPONSES.read_whole(sent(name, turn, "json"), habits))
    assert streamed == whole
    assert streamed[1] == End()


if __name__ == "__main__":
    for name, turn, kind in CASES:
        file_of(name, turn, kind).parent.mkdir(parents=True, exist_ok=True)
        file_of(name, turn, kind).write_bytes(sent(name, turn, kind))
    for name in DIALECTS:
        (GOLDEN / name / "errors.txt").write_text(errors(name), encoding="utf-8")
