"""docs/explanation/clients.md: every driver stands in its table with the release that is pinned, and its examples run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import fakellm
from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.clients.result import Result
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.matrix_formats import as_markdown
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from tests.clients.driving import NAMES, PYTHON, installed, need, pinned
from tests.clients.test_client_bugs import CLIENTS, FILES
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "explanation" / "clients.md").read_text(encoding="utf-8")
TABLE = dict(re.findall(r"^\| `(?:python -m fakellm\.drivers\.|node )(.+?)` \|.*\| ([\d.]+) \|$", TEXT, re.MULTILINE))


def example(mark: str) -> str:
    found = re.search(rf"<!-- test: {mark} -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return found[1]


def test_every_driver_is_listed_with_its_release() -> None:
    assert {name: pinned(name) for name in NAMES} == TABLE


def test_every_driver_is_a_file_and_every_file_a_driver() -> None:
    folder = ROOT / "fakellm" / "drivers"
    files = {file.name for file in folder.iterdir() if file.suffix in (".py", ".mjs")}
    shared = {
        "__init__.py",
        "loop.py",
        "loop.mjs",
        "reads.py",
        "request.py",
        "request.mjs",
        "sse_chat.mjs",
        "tally.py",
        "tally.mjs",
    }
    assert files - shared == {name.split()[0] + (".py" if name in PYTHON else "") for name in NAMES}


def test_the_packages_for_node_are_pinned_alike_for_drivers_and_for_tests() -> None:
    folders = (ROOT / "fakellm" / "drivers", ROOT / "tests" / "clients" / "node")
    drivers, tests = (json.loads((folder / "package.json").read_text())["dependencies"] for folder in folders)
    alike = drivers.keys() & tests.keys()
    assert {name: drivers[name] for name in alike} == {name: tests[name] for name in alike}
    assert {"openai", "@anthropic-ai/sdk", "@google/genai", "ollama", "ai"} <= alike


def test_every_column_is_a_client_and_every_failing_one_has_a_file() -> None:
    heads = re.findall(r"^\| step \| tier \| row \| (.*) \|$", TEXT, re.MULTILINE)
    columns = {name for head in heads for name in head.split(" | ")}
    assert set(CLIENTS) <= columns
    named = {max((name for name in CLIENTS if file.stem.startswith(f"{name}-")), key=len) for file in FILES}
    assert named == set(CLIENTS)


def test_a_table_is_what_its_command_prints() -> None:
    """The same clients in the same order, a row for each step that does not hold for all, and the count of the others above."""
    commands = re.findall(r"^fakellm fuzz --matrix (.+?)\n(?:\n|```)", TEXT, re.MULTILINE | re.DOTALL)
    tables = re.findall(r"\n\n(Of .+)\n\n((?:\|.+\|\n)+)", TEXT)
    assert len(commands) == len(tables) == 7
    for command, (above, table) in zip(commands, tables, strict=True):
        clients = [word.partition("=")[0] for word in shlex.split(command) if "=" in word]
        head, rule, *rows = table.splitlines(keepends=True)
        assert as_markdown([], clients, above) == f"{above}\n\n{head}{rule}"
        assert all(re.search(r"\| (FAILS: |not visible|unconfirmed)", row) for row in rows)
        steps, holding = map(int, re.findall(r"\d+", above))
        assert above == f"Of {steps} steps, faults and dialects, {holding} hold for all."
        assert len(rows) == steps - holding


def test_the_driver_of_the_page_works(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(example("driver"))
    driver = Driver([sys.executable, str(file)], 5.0, 30.0)
    rule = Rule(reply=Reply(content="Hello!"))
    with fakellm.serve(rule) as server:
        answer = driver.ask(server.base_url, cases.request(rule))
    driver.close()
    assert isinstance(answer, Result), answer
    assert answer.content == "Hello!"


def test_a_failure_is_replayed() -> None:
    need("openai_raw")
    if pinned("openai_raw") != installed("openai_raw"):
        pytest.skip("another release of openai is installed")
    words = [sys.executable if word == "python" else word for word in shlex.split(example("replay"))]
    told = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert told.returncode == 1, told.stderr
    assert "JSONDecodeError" in told.stdout
