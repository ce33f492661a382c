"""The tables of docs/: every example is loaded and rendered, and what it promises is on the wire, and not without it."""

from __future__ import annotations

import re

import pytest
import yaml

from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.http.http1 import bursts
from tests.conftest import ROOT, chat, respond

ROW = re.compile(r"^\| (.+?) \| `(.+?)` \| `(.+)` \|$", re.MULTILINE)
TEXT = (ROOT / "docs" / "reference" / "framing.md").read_text(encoding="utf-8")
ROWS: list[tuple[str, str, str]] = ROW.findall(TEXT)


def wire(stream: str) -> bytes:
    """What is sent for a reply of some length with this `stream:` block: as it leaves, and the body without chunks."""
    scenario = load({"rules": [{"reply": {"content": "One, 中 two"}, "stream": yaml.safe_load(stream)}]})
    answer = respond(App(scenario), HttpRequest("POST", "/v1/chat/completions", chat(stream=True)))
    return b"".join(burst.data for burst in bursts(answer.plan)) + answer.plan.body


def test_no_row_is_left_out() -> None:
    assert len(ROWS) == TEXT.count("\n| ") - 1  # but the head


@pytest.mark.parametrize(("literal", "stream"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_example_puts_its_bytes_on_the_wire(literal: str, stream: str) -> None:
    seen = literal.encode().decode("unicode_escape").encode("latin-1")
    assert seen in wire(stream)
    assert seen not in wire("{}")
