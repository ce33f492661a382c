"""Every example in docs/reference/scenarios.md: files load and answer, conditions are met by what they speak of, Python runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fakellm.apis.chat.requests.parse import parse
from fakellm.apis.openai import legacy_request
from fakellm.engine.render import render
from fakellm.engine.resolve import filled
from fakellm.engine.ruleset import Script
from fakellm.importing.example_request import sample
from fakellm.scenarios.builder import On
from fakellm.scenarios.loader import load
from fakellm.scenarios.matching import When, difference
from fakellm.scenarios.templates import NAMES, fill
from tests.conftest import ROOT, chat

TEXT = (ROOT / "docs" / "reference" / "scenarios.md").read_text(encoding="utf-8")
FILES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
WHENS = [
    when
    for row in re.findall(r"^\| .+ \| (`\{.+`) \|$", TEXT, re.MULTILINE)
    for when in re.findall(r"`(\{.+?\})`", row)
]
PLACEHOLDERS = re.findall(r"`(\{\{[^`{]+\}\})`", TEXT)

# Meets every condition that the table speaks of, but for those that exclude each other.
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}]
MESSAGES = [
    {"role": "system", "content": "Please be brief."},
    {"role": "user", "content": "Hello, how is the weather?"},
    {"role": "assistant", "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"sum": 5}'},
    {"role": "user", "content": "Hello, how is the weather?", "name": "ada"},
]
FIELDS = {
    "model": "gpt-5-mini",
    "stream": True,
    "tools": [{"type": "function", "function": {"name": name}} for name in ("add", "multiply", "log")],
    "response_format": {"type": "json_schema", "json_schema": {"name": "Event"}},
    "metadata": {"run": "7"},
}
REQUEST = parse(chat(messages=MESSAGES, tool_choice="required", **FIELDS), {"x-run": "7"})
NAMED = parse(chat(tool_choice={"type": "function", "function": {"name": "add"}}))
FIRST = legacy_request.parse(b'{"model": "m", "prompt": "Hi"}', {})


def test_the_tables_are_found() -> None:
    assert len(WHENS) == 21
    assert {field for when in WHENS for field in yaml.safe_load(when)} == set(When.__struct_fields__)
    assert {placeholder.strip("{}").split(".")[0] for placeholder in PLACEHOLDERS} == {
        name.split(".")[0] for name in NAMES
    }


@pytest.mark.parametrize("when", WHENS)
def test_a_condition_matches_some_requests_and_not_all(when: str) -> None:
    condition = load({"rules": [{"when": yaml.safe_load(when), "reply": {}}]}).rules[0].when
    assert sorted(bool(difference(condition, request)) for request in (REQUEST, NAMED, FIRST)) in (
        [False, True, True],
        [False, False, True],
    )


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_is_filled(placeholder: str) -> None:
    assert fill(placeholder, REQUEST, 1) not in ("", placeholder)


@pytest.mark.parametrize("text", FILES)
def test_a_file_loads_and_its_rules_answer(text: str, tmp_path: Path) -> None:
    (tmp_path / "errors").mkdir()
    for name in ("common.yaml", "errors/a.yaml"):
        (tmp_path / name).write_text(f"rules: [{{when: {{user: {name}}}, reply: {{content: Hi}}}}]")
    (tmp_path / "main.yaml").write_text(text)
    for rule in load(tmp_path / "main.yaml").named_rules():
        request = REQUEST if rule.reply.template else sample(rule)
        script = Script(rule)
        for step in range(len(rule.steps)):
            one = script.at(script.attempt(step + 1, True, 0, "") or pytest.fail("no such attempt"))
            reply = filled(one.reply, request, step + 1)
            assert "{{" not in reply.content
            assert render(one, request, 0).frames


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_python_runs(code: str) -> None:
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert len(load(printed.stdout).rules) == 4


def test_every_method_is_in_the_table() -> None:
    table = TEXT[TEXT.index("| method |") :]
    methods = {name for name in vars(On) if not name.startswith("_") and callable(getattr(On, name))}
    assert set(re.findall(r"`\.(\w+)\(", table)) == methods
