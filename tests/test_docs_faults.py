"""Every fault in docs/reference/faults.md is one: it loads, strikes, and changes what is sent. And every kind stands there."""

from __future__ import annotations

import re
from typing import get_args

import pytest
import yaml

from fakellm.faults import Fault
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import ROOT, chat, handled

TEXT = (ROOT / "docs" / "reference" / "faults.md").read_text(encoding="utf-8")
FAULTS = re.findall(r"`(\{kind: .*?\})`", TEXT)
CALLS = [{"name": "f", "arguments": {"a": 1}, "id": "a"}, {"name": "g", "arguments": {"b": 2}, "id": "b"}]


def sent(fault: str | None, stream: bool) -> tuple[object, str | None]:
    """The plan of a rule's first or second reply, whichever the fault strikes, and the fault that it met."""
    rule = {"reply": {"content": "It is 3 degrees in Oslo.", "tool_calls": CALLS}}
    app = App(load({"rules": [rule | ({"fault": yaml.safe_load(fault)} if fault else {})]}))
    answers = [handled(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=stream))) for _ in range(2)]
    return next(((answer.plan, entry.fault) for answer, entry in answers if entry.fault), (answers[0][0].plan, None))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_table_does_what_no_plain_reply_does(fault: str) -> None:
    struck = [(stream, *sent(fault, stream)) for stream in (True, False)]
    assert {kind for _, _, kind in struck} - {None} == {yaml.safe_load(fault)["kind"]}
    assert all((kind is None) == (plan == sent(None, stream)[0]) for stream, plan, kind in struck)


def test_every_kind_is_in_the_table() -> None:
    assert {yaml.safe_load(fault)["kind"] for fault in FAULTS} == {
        kind.__struct_config__.tag for kind in get_args(Fault)
    }


def test_the_example_serves() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert examples
    for example in examples:
        app = App(load(example))
        answers = [handled(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=True))) for _ in range(2)]
        assert [(answer.plan.end, entry.fault) for answer, entry in answers] == [("reset", "reset"), ("complete", None)]
