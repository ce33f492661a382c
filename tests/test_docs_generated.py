"""docs/reference/generated.md holds: its rules serve, its script runs, and each refusal in the table is the one it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import yaml

from fakellm.generate.answer import EFFORTS
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import ROOT, chat, respond

TEXT = (ROOT / "docs" / "reference" / "generated.md").read_text(encoding="utf-8")
REFUSALS: list[tuple[str, str, str]] = re.findall(r"^\| `(\{.+\})` \| `(.+)` \| (.+) \|$", TEXT, re.MULTILINE)
EXAMPLES: list[tuple[str, str]] = re.findall(r"```(yaml|python)\n(.*?)```", TEXT, re.DOTALL)


def test_nothing_is_left_out() -> None:
    assert len(REFUSALS) == 6
    assert [language for language, _ in EXAMPLES] == ["yaml", "python"]


@pytest.mark.parametrize(("asked", "param", "why"), REFUSALS)
def test_what_the_table_lists_as_refused_is_refused(asked: str, param: str, why: str) -> None:
    answer = respond(App(), HttpRequest("POST", "/v1/chat/completions", chat(**yaml.safe_load(asked))))
    error = json.loads(answer.plan.body)["error"]
    assert (answer.plan.status, error["param"]) == (400, param)
    assert why in error["message"]


def test_the_rules_serve() -> None:
    app = App(load(EXAMPLES[0][1]))
    replies = {
        model: json.loads(respond(app, HttpRequest("POST", "/v1/chat/completions", chat(model=model))).plan.body)
        for model in ("long-x", "m")
    }
    assert replies["long-x"]["model"] == "long-1"
    assert replies["long-x"]["choices"][0]["message"]["content"].count("\n\n") == 7
    assert 2 <= replies["m"]["choices"][0]["message"]["content"].count(".") <= 4


def test_the_script_runs() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", EXAMPLES[1][1]], check=True, capture_output=True, text=True, timeout=60
    )
    assert shown.stdout.startswith("city=")


def test_the_efforts_are_those_of_the_table() -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith("| `reasoning_effort`"))
    words, numbers = row.split("|")[2].split(" sentences")[0].split(":")
    assert re.findall(r"`(\w+)`", words) == list(EFFORTS)
    assert [0, *map(int, re.findall(r"\d+", numbers))] == list(EFFORTS.values())
