"""docs/how-to/javascript.md: its files run in Vitest and Jest as they stand there, and its tables hold for what is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fakellm
from tests.clients.driving import NODE
from tests.clients.node_sdks import FOLDER, need_node
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "how-to" / "javascript.md").read_text(encoding="utf-8")
FILES: dict[str, str] = dict(re.findall(r"<!-- file: (\S+) -->\n```js\n(.*?)```", TEXT, re.DOTALL))
RUNNERS = {"vitest": ("vitest/vitest.mjs", "run"), "jest": ("jest/bin/jest.js",)}
PROGRAMS = "\n".join(file.read_text(encoding="utf-8") for file in FOLDER.glob("*.mjs"))


def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [re.split(r" \| ", row.strip("| ")) for row in re.findall(r"^\| .+ \|$", section, re.MULTILINE)[1:]]


def quoted(cell: str) -> list[str]:
    """The codes in a cell of a table."""
    return [long or short for long, short in re.findall(r"``(.+?) ?``|`([^`]+)`", cell)]


def node(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A program that has run in Node, with the command `fakellm` of this environment."""
    need_node()
    path = f"{Path(sys.executable).parent}{os.pathsep}{NODE / '.bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    command = [str(NODE / ".bin" / "node"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("broken", [False, True], ids=["as-it-stands", "broken"])
@pytest.mark.parametrize("runner", RUNNERS)
def test_the_tests_of_the_page_pass_and_can_fail(runner: str, broken: bool, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.replace('"Hello, Ada." }', '"Bye." }') if broken else text, encoding="utf-8")
    other = ".cjs" if runner == "vitest" else ".mjs"
    (tmp_path / f"greeting.test{other}").unlink()
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    run = node(tmp_path, f"node_modules/{RUNNERS[runner][0]}", *RUNNERS[runner][1:])
    assert (run.returncode != 0) == broken, run.stdout + run.stderr
    assert ("Bye." in run.stdout + run.stderr) == broken


@pytest.mark.parametrize(("packages", "option"), [row[:2] for row in rows("URLs")])
def test_an_option_is_what_the_tests_of_the_sdks_use(packages: str, option: str) -> None:
    (code,) = quoted(option)
    assert code.replace("url", "task.url") in PROGRAMS or code in PROGRAMS
    assert all(f'from "{package}' in PROGRAMS for package in quoted(packages))


def test_without_options_the_environment_is_read() -> None:
    with fakellm.serve({"rules": [{"reply": {"content": "Hello."}}]}) as server:
        run = node(FOLDER, "environment.mjs", **server.env, OLLAMA_BASE_URL=server.url)
    assert not run.returncode, run.stderr
    answers = json.loads(run.stdout)
    assert set(answers.values()) == {"Hello."}
    reading = {package for packages, _, variable in rows("URLs") if "`" in variable for package in quoted(packages)}
    assert set(answers) == reading - {"@ai-sdk/openai-compatible"}


def test_the_releases_are_those_that_are_installed() -> None:
    pinned = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"]
    for packages, release, _ in rows("What was measured"):
        assert {pinned[package] for package in quoted(packages)} == {release}
