"""Every example in README runs, as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakellm.apis.route import HOMES
from tests.conftest import ROOT
from tests.test_docs_how_to import started

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?:test|run): (\w+) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
EXAMPLES: list[tuple[str, str, str]] = BLOCK.findall(README)


def examples(mark: str) -> list[str]:
    found = [code for marked, _, code in EXAMPLES if marked == mark]
    assert found, f"README has no example marked {mark!r}"
    return found


def test_no_example_is_left_out() -> None:
    unmarked = [code for mark, language, code in EXAMPLES if not mark and language]
    assert len(unmarked) == 1  # the curl request, which runs below
    assert unmarked[0].startswith("curl -N http://127.0.0.1:8080/")


@pytest.mark.parametrize("code", examples("pytest"))
def test_a_test_in_the_readme_passes(code: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(code)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.fixture
def served() -> Iterator[str]:
    """The URL of a server started with the arguments of README's command, but for the port."""
    arguments = shlex.split(examples("main")[0])
    arguments = arguments[arguments.index("serve") :]
    with started("serve", *arguments[1:], folder=ROOT) as url:
        yield url


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_request_to_copy_shows_a_stream(served: str) -> None:
    curl = next(code for _, _, code in EXAMPLES if code.startswith("curl"))
    command = shlex.split(curl.replace("http://127.0.0.1:8080", served))
    shown = subprocess.run(["curl", "-sS", *command[1:]], check=True, capture_output=True, text=True).stdout
    frames = shown.split("\n\n")
    assert len(frames) == 140
    assert frames[-2:] == ["data: [DONE]", ""]
    assert sum('"delta":{}}' in frame for frame in frames) == 133


def test_the_fuzzer_finds_what_the_readme_promises(tmp_path: Path) -> None:
    words = shlex.split(examples("fuzz")[0].rpartition("&&")[2])
    command = [sys.executable, "-m", *(word if word != "python" else sys.executable for word in words)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert found.returncode == 1, found.stderr
    assert "sse." in found.stdout + found.stderr


def test_the_number_of_dialects_is_right() -> None:
    assert f"formats of its providers: {sum(len(home.dialects) for home in HOMES.values())} dialects." in README
