"""The examples of docs/reference/fuzzing.md run, and its tables leave nothing out."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.route import HOMES
from fakellm.cli import main
from fakellm.fuzzing import FuzzError
from fakellm.fuzzing.draws.families import ALL_FAMILIES
from fakellm.fuzzing.recorded.steps import total
from fakellm.fuzzing.strategies import PROFILES
from fakellm.testing.reruns.break_replies import FAULTS
from fakellm.testing.reruns.vary import runs
from tests import wrong_clients as wrong
from tests.conftest import ROOT
from tests.redis_server import redis_server
from tests.saved_files import saved_files

TEXT = (ROOT / "docs" / "reference" / "fuzzing.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_client_of_the_example_is_caught(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE[0])
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "*FuzzError*",
            "*1. padding: no_delta*",
            "*sent by azure*",
            "*expected*",
            "*To reproduce: the next call tries it first*",
        ]
    )


def test_the_example_with_hypothesis_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE[3])
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_test_of_the_example_fails_when_its_stream_varies(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE[1])
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    varied = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--fakellm-vary", "20")
    varied.assert_outcomes(failed=1)
    varied.stdout.fnmatch_lines(["*how its client was answered*", "*Scenario:*", "*On the wire*"])


COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
DRIVER = """\
import json, sys, urllib.request
for line in sys.stdin:
    case = json.loads(line)
    body = json.dumps(case["request"]).encode()
    with urllib.request.urlopen(case["base_url"] + "/chat/completions", body) as response:
        lines = [json.loads(line[6:]) for line in response if line.startswith(b"data: {")]
    text = "".join(each["choices"][0]["delta"].get("content") or "" for each in lines if each["choices"])
    print(json.dumps({"id": case["id"], "content": text[:13]}), flush=True)
"""
"""It cuts long answers, so each command ends soon."""


def test_the_commands_find_the_bug_of_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    Path("driver.py").write_text(DRIVER)
    with redis_server(tmp_path) as url:
        for line in COMMANDS:
            name, *words = shlex.split(line.replace("redis://localhost:6379/0", url))
            if name != "fakellm":
                continue
            driver = [sys.executable, "driver.py"] if "node" in words else []
            words = words[: words.index("node")] + driver if driver else words
            done = CliRunner().invoke(main, words)
            assert (done.exit_code, "Wrong result: content" in done.output) == (1, True), line
    assert all(Path(name).exists() for name in ("1.json", "2.json", "fuzz.xml"))


def test_failures_are_saved_in_several_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example: dict[str, Any] = {}
    exec(CODE[2], example)
    with pytest.raises(FuzzError):
        example["try_client"](wrong.UnescapesHtml())
    assert len(saved_files(Path(".fakellm/failures"))) == 1


def test_the_page_has_a_run_for_each_fault() -> None:
    assert f"--fakellm-faults {len(FAULTS)}`" in TEXT
    assert f"Each of {len(FAULTS)} runs" in TEXT


def test_twenty_runs_take_each_step() -> None:
    assert sorted(family for run in runs(20) for family in run.families) == sorted(ALL_FAMILIES)


def test_the_page_counts_the_recorded_streams_of_each_api() -> None:
    numbers = re.findall(r"(\d+)(?: recorded streams)? of (chat|Responses|Messages|Gemini|Ollama)", TEXT)
    assert {name.lower(): int(number) for number, name in numbers} | {"completions": 0} == {
        api: total(api) for api in HOMES
    }


def test_every_option_and_every_profile_is_in_the_tables() -> None:
    command = main.get_command(main.make_context("fakellm", ["fuzz"]), "fuzz")
    assert command is not None
    options = {name for each in command.params for name in each.opts if name.startswith("--")}
    assert {name for name in options if f"`{name}" not in TEXT} == set()
    assert {name for name in PROFILES if name not in DIALECTS and f"| `{name}` |" not in TEXT} == set()
