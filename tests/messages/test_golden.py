"""Every dialect of the Messages API, as soon as it stands in the table: what it sends, to the byte.

The expected bytes lie in `tests/golden/messages/<dialect>/`. ``python -m tests.messages.test_golden`` writes them anew;
read the difference before you commit it.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.dialects import DIALECTS
from fakellm.apis.messages.habits import settings
from fakellm.apis.messages.http import urls
from fakellm.apis.protocol import Failure
from fakellm.apis.route import HOMES
from fakellm.apis.variation import Variation
from fakellm.model.fold import fold
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from tests.conftest import ROOT, respond

GOLDEN = ROOT / "tests" / "golden" / "messages"
TURNS = {"tools": 1, "search": 2, "refusal": 3}
CASES = [(name, turn, kind) for name in DIALECTS for turn in TURNS for kind in ("sse", "json")]


def plan(name: str, turn: str, kind: str) -> Plan:
    """What a dialect sends in a turn of the golden scenario, streamed or whole."""
    scenario = msgspec.structs.replace(load(GOLDEN / "scenario.yaml"), dialect=name)
    messages = [{"role": "user", "content": "How warm is it?"}]
    for _ in range(TURNS[turn] - 1):
        messages += [{"role": "assistant", "content": "Hm"}, {"role": "user", "content": "And now?"}]
    body = {"model": "claude-sonnet-5", "max_tokens": 1024, "messages": messages, "stream": kind == "sse"}
    request = HttpRequest("POST", "/v1/messages", json.dumps(body).encode(), {"anthropic-version": "2023-06-01"})
    return respond(App(scenario, strict=True), request).plan


def file_of(name: str, turn: str, kind: str) -> Path:
    return GOLDEN / name / f"{turn}.{kind}"


@pytest.mark.parametrize(("name", "turn", "kind"), CASES)
def test_a_dialect_sends_its_golden_bytes(name: str, turn: str, kind: str) -> None:
    assert plan(name, turn, kind).body.decode() == file_of(name, turn, kind).read_bytes().decode()


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("turn", TURNS)
def test_a_stream_and_a_whole_body_mean_the_same(name: str, turn: str) -> None:
    habits = settings(Variation(), DIALECTS[name]).habits
    streamed, _ = fold(MESSAGES.read(Decoder().feed(plan(name, turn, "sse").body), habits))
    whole, _ = fold(MESSAGES.read_whole(plan(name, turn, "json").body, habits))
    assert MESSAGES.expressible(streamed, habits, whole=True) == whole


def test_the_table_has_the_names_that_a_rule_can_use() -> None:
    assert tuple(DIALECTS) == urls.DIALECTS == HOMES["messages"].dialects


@pytest.mark.parametrize("name", DIALECTS)
def test_errors_have_the_shape_of_the_provider(name: str) -> None:
    habits = settings(Variation(), DIALECTS[name]).habits
    body = json.loads(MESSAGES.refuse(Failure(529), habits)[1])
    typed = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    flat = {"message": "Overloaded", "type": "overloaded_error", "param": None, "code": "overloaded_error"}
    expected = {"deepseek": {"error": flat}, "bedrock": {"message": "Overloaded"}}
    assert body == expected.get(name, {**typed, "request_id": body.get("request_id")})


if __name__ == "__main__":
    for case in CASES:
        file_of(*case).parent.mkdir(exist_ok=True)
        file_of(*case).write_bytes(plan(*case).body)
