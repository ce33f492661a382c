"""The examples of docs/fuzzing.md run, and its tables leave nothing out."""

from __future__ import annotations

import re

import pytest

from fakellm.apis.chat.providers import DIALECTS
from fakellm.cli import main
from fakellm.fuzzing.draws.families import ALL_FAMILIES
from fakellm.fuzzing.strategies import PROFILES
from fakellm.testing.reruns.break_replies import FAULTS
from fakellm.testing.reruns.vary import runs
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "fuzzing.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_client_of_the_example_is_caught(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE[0])
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["*FuzzError*", "*1. sse.*", "*expected*", "*To reproduce: the next call tries it first*"]
    )


def test_the_example_with_hypothesis_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE[2])
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_test_of_the_example_fails_when_its_stream_varies(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE[1])
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    varied = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--fakellm-vary", "20")
    varied.assert_outcomes(failed=1)
    varied.stdout.fnmatch_lines(["*how its client was answered*", "*Scenario:*", "*On the wire*"])


def test_the_page_has_a_run_for_each_fault() -> None:
    assert f"--fakellm-faults {len(FAULTS)}`" in TEXT
    assert f"Each of {len(FAULTS)} runs" in TEXT


def test_twenty_runs_take_each_step() -> None:
    assert sorted(family for run in runs(20) for family in run.families) == sorted(ALL_FAMILIES)


def test_every_option_and_every_profile_is_in_the_tables() -> None:
    command = main.get_command(main.make_context("fakellm", ["fuzz"]), "fuzz")
    assert command is not None
    options = {name for each in command.params for name in each.opts if name.startswith("--")}
    assert {name for name in options if f"`{name}" not in TEXT} == set()
    assert {name for name in PROFILES if name not in DIALECTS and f"| `{name}` |" not in TEXT} == set()
