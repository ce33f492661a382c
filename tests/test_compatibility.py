"""What docs/reference/compatibility.md promises: versions of files, renamed keys, systems, NO_COLOR."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given

import fakellm
from fakellm import CassetteError, Reply, Rule, ScenarioError, Timing
from fakellm.cli import main
from fakellm.recordings.formats import read
from fakellm.scenarios.loader import dump_json
from fakellm.strategies import streams

RULE = "rules: [{reply: {content: Hi}}]"


def test_a_scenario_may_have_its_version() -> None:
    assert (
        fakellm.load(f"version: 1\n{RULE}")
        == fakellm.load(RULE)
        == fakellm.load('{"version": 1, "rules": [{"reply": {"content": "Hi"}}]}')
    )


@pytest.mark.parametrize("later", [f"version: 2\nrulez: [{{}}]\n{RULE}", '{"version": 2, "rules": 7}'])
def test_a_later_version_is_refused_with_the_remedy_alone(later: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        fakellm.load(later)
    (problem,) = raised.value.problems
    assert ": version: a scenario of version 2; this fakellm reads 1: use a later fakellm: pip install" in problem


@pytest.mark.parametrize(
    ("version", "message"), [("0", ">= 1"), ("one", "expected integer"), ("true", "expected integer")]
)
def test_a_version_is_a_number(version: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        fakellm.load(f"version: {version}\n{RULE}")


@given(streams("all"))
def test_what_is_written_has_the_version_and_is_read_again(scenario: fakellm.Scenario) -> None:
    text, json = fakellm.dump(scenario), dump_json(scenario)
    assert text.startswith("version: 1\n")
    assert json.startswith('{"version":1,')
    assert fakellm.load(text) == fakellm.load(json) == scenario


def test_what_commands_write_has_the_version(tmp_path: Path) -> None:
    (tmp_path / "a.sse").write_text(
        'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    for words in (
        ["import", str(tmp_path / "a.sse"), "-o", str(tmp_path / "fakellm.yaml")],
        ["init", str(tmp_path / "new")],
    ):
        assert CliRunner().invoke(main, words).exit_code == 0
    assert all("\nversion: 1\n" in "\n" + file.read_text() for file in tmp_path.rglob("fakellm.yaml"))


def test_a_recording_of_a_later_version_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        CassetteError, match="a recording of version 2; this fakellm reads version 1: use a later fakellm"
    ):
        read(b'{"fakellm":"recording","version":2}\n{"anything": 1}\n', "later.jsonl")


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a release had renamed these keys."""
    monkeypatch.setattr(Rule, "renamed", {"answer": "reply"}, raising=False)
    monkeypatch.setattr(Reply, "renamed", {"text": "content"}, raising=False)
    monkeypatch.setattr(Timing, "renamed", {"delay": "first"}, raising=False)


OLD = "rules:\n- answer: {text: Hi}\n  timing: {delay: 2}\n"
NEW = "rules:\n- reply: {content: Hi}\n  timing: {first: 2}\n"


@pytest.mark.usefixtures("renamed")
def test_a_renamed_key_works_with_a_warning_that_has_the_new_name() -> None:
    with pytest.warns(FutureWarning) as warned:
        assert fakellm.load(OLD) == fakellm.load(NEW)
    assert [str(each.message) for each in warned] == [
        "scenario:2:3: rules[0]: 'answer' is now called 'reply'; the former name works in this release only",
        "scenario:2:12: rules[0].answer: 'text' is now called 'content'; the former name works in this release only",
        "scenario:3:12: rules[0].timing: 'delay' is now called 'first'; the former name works in this release only",
    ]


@pytest.mark.usefixtures("renamed")
def test_a_mapping_with_a_renamed_key_is_not_changed() -> None:
    mapping: dict[str, Any] = {"rules": [{"reply": {"text": "Hi"}}]}
    with pytest.warns(FutureWarning, match="rules\\[0\\].reply: 'text' is now called 'content'"):
        assert fakellm.load(mapping).rules[0].reply.content == "Hi"
    assert mapping == {"rules": [{"reply": {"text": "Hi"}}]}


@pytest.mark.usefixtures("renamed")
def test_both_names_are_one_too_many() -> None:
    with pytest.raises(ScenarioError, match="unknown key 'text'"):
        fakellm.load("rules: [{reply: {text: a, content: b}}]")


OLDER = """
import sys
sys.version_info = (3, 10, 13)
"""


def test_an_older_python_is_refused_in_one_line() -> None:
    line = "this package needs Python 3.11 or newer, and this is Python 3.10.13"
    run = "import runpy; sys.argv = ['fakellm', 'serve']; runpy.run_module('fakellm', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", OLDER + run], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"fakellm: {line}\n")
    done = subprocess.run(
        [sys.executable, "-c", OLDER + "import fakellm.faults"], capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith(f"ImportError: {line}\n")


def test_a_system_without_process_groups_has_no_fuzzer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.killpg")
    done = CliRunner().invoke(main, ["fuzz", "--", "true"])
    assert (done.exit_code, done.output) == (
        2,
        "fakellm fuzz: it ends drivers by their process groups, which this system has not: on Windows, use WSL\n",
    )
