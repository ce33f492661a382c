"""Every example in docs/reference/testing.md passes as it stands there, and its tables have every setting and variable."""

from __future__ import annotations

import re

import pytest

from fakellm.testing.fixture.settings import FixtureSettings, configured
from fakellm.testing.sdk_environment import variables
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "testing.md").read_text(encoding="utf-8")
TESTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
(SCENARIO,) = re.findall(r"```yaml\n# scenarios/hello.yaml\n(.*?)```", TEXT, re.DOTALL)
(INI,) = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)


def test_every_example_passes_and_the_failure_reads_as_it_stands_there(pytester: pytest.Pytester) -> None:
    """One run, since its imports cost more than the tests."""
    pytester.mkdir("scenarios").joinpath("hello.yaml").write_text(SCENARIO)
    failing = TESTS[0].replace('answer("How is the weather?")', 'answer("What time is it?")')
    files = {f"test_{number}": code for number, code in enumerate(TESTS)}
    pytester.makepyfile(**files, test_failing=failing)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=sum(code.count("def test_") for code in TESTS), failed=1, errors=1)
    (failure,) = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    result.stdout.fnmatch_lines(failure.replace("\nuser:", " user:").replace("…", "*").splitlines())


def test_the_configuration_file_is_one(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    settings = configured(pytester.parseconfig("-p", "no:asyncio"))
    assert (settings.scenario, settings.seed) == (pytester.path / "scenarios/hello.yaml", 7)


def test_the_tables_are_complete() -> None:
    assert all(f"`{name}`" in TEXT for name in (*FixtureSettings.__struct_fields__, *variables("http://x")))
