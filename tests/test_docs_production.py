"""Every row of docs/how-to/production.md does what it says, is of the tier it says, and the plain reply does not do it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from fakellm.fuzzing.tiers import WireStep, step_of, steps
from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.http.http1 import bursts
from tests.conftest import ROOT, chat, respond

PAGE = (ROOT / "docs" / "how-to" / "production.md").read_text(encoding="utf-8")
TEXT, _, BOTH = PAGE.partition("## In streams and in whole bodies")
ROWS = re.findall(r"^\| (.+?) \| `(.+?)` \| `(.+)` \| (T\d|fault|)(?: \*contested\*)? ?\|$", TEXT, re.MULTILINE)
BOTH_ROWS = re.findall(r"^\| (.+?) \| `(.+?)` \| `(.+?)` \| `(\{.+\})` \|$", BOTH, re.MULTILINE)
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def written(rule: str) -> Scenario:
    """The example with what a row says of its rule; with an envelope that stands still."""
    (plain,) = yaml.safe_load(EXAMPLE)["rules"]
    said: dict[str, Any] = yaml.safe_load(rule)
    fixed = {"id": "c", "created": 9, "model": "m", "system_fingerprint": None}
    return load({"rules": [plain | said | {"reply": said.get("reply", plain["reply"]) | fixed}]})


def sent(scenario: Scenario) -> bytes:
    """All that leaves for a stream and for a whole body: as it leaves, and the bodies without their chunks."""
    bodies = (chat(stream=True, stream_options={"include_usage": True}), chat())
    answers = [respond(App(scenario), HttpRequest("POST", "/v1/chat/completions", body)) for body in bodies]
    return b"".join(b"".join(burst.data for burst in bursts(each.plan)) + each.plan.body for each in answers)


def told(literal: str) -> re.Pattern[bytes]:
    """The bytes that a row tells, with line ends as they are written in Python; `…` is the rest of a line."""
    parts = literal.replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\").split("…")
    return re.compile(b"[^\n]*".join(re.escape(part.encode()) for part in parts))


def tier(rule: Rule) -> str:
    """The furthest of the tiers that a row takes; none where the dialect or the reply alone makes it."""
    found: list[WireStep] = [*steps(rule.stream), *([step_of(rule.fault)] if rule.fault else [])]
    return max((step.tier for step in found), default="")


def test_no_row_is_left_out_and_the_contested_are_marked() -> None:
    assert len(ROWS) == TEXT.count("\n| ") - 1  # but the head
    assert TEXT.count("| T5 *contested* |") == [said for *_, said in ROWS].count("T5") == TEXT.count("*contested* |")


@pytest.mark.parametrize(("saw", "literal", "rule", "said"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_puts_its_bytes_on_the_wire(saw: str, literal: str, rule: str, said: str) -> None:
    scenario = written(rule)
    assert told(literal).search(sent(scenario))
    assert not told(literal).search(sent(written("{}")))
    assert tier(scenario.rules[0]) == said


def test_every_contested_step_that_is_named_is_in_the_table() -> None:
    contested = {
        step.name for *_, rule, _ in ROWS for step in steps(written(rule).rules[0].stream) if step.tier == "T5"
    }
    named = {
        "split: surrogates",
        "reasoning: think",
        "reasoning: thinking",
        "calls.index: zero",
        "calls.name: repeated",
    }
    assert contested >= named | {"usage: running", "sse.ends_with: line_end", "spelling.each"}


def both(rule: dict[str, Any], whole: bool) -> bytes:
    """All that leaves for a stream, or for a whole body, as it leaves, without white space in its JSON."""
    stream: dict[str, Any] = rule.get("stream", {})
    if whole:
        stream = stream | {"spelling": stream.get("spelling", {}) | {"indent": 0}}
    app = App(load({"rules": [rule | {"stream": stream}]}))
    plan = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=not whole))).plan
    return b"".join(burst.data for burst in bursts(plan))


def test_no_row_for_streams_and_whole_bodies_is_left_out() -> None:
    assert len(BOTH_ROWS) == BOTH.count("\n| ") - 1  # but the head


@pytest.mark.parametrize(("saw", "streamed", "whole", "rule"), BOTH_ROWS, ids=[row[0] for row in BOTH_ROWS])
def test_a_key_has_its_effect_in_streams_and_in_whole_bodies(saw: str, streamed: str, whole: str, rule: str) -> None:
    written: dict[str, Any] = yaml.safe_load(rule)
    assert "patch" not in written
    assert told(streamed).search(both(written, whole=False))
    assert whole == "-" or told(whole).search(both(written, whole=True))
