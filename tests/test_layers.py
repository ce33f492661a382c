"""The structure holds: a folder imports only from those before it, the core does no I/O, and imports stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = (
    *(
        "base",
        "model",
        "quotas",
        "wire",
        "streaming",
        "apis",
        "faults",
        "generate",
        "scenarios",
        "engine",
        "recordings",
    ),
    *("importing", "server", "fuzzing", "testing", "drivers", "cli"),
)
"""Each imports only from those before it, and `drivers` from none of them."""
PURE = FOLDERS[: FOLDERS.index("recordings")]
IO = {
    *("aiohttp", "asyncio", "http.client", "logging", "os", "signal", "socket", "subprocess", "threading"),
    "urllib.request",
}
FILES = sorted(file for file in (ROOT / "fakellm").rglob("*.py") if "node_modules" not in file.parts)


def folder_of(file: Path) -> str:
    parts = file.relative_to(ROOT / "fakellm").parts
    return parts[0] if len(parts) > 1 else ""


def imports(file: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {f"fakellm.{alias.name}" for alias in node.names} if module == "fakellm" else {module}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_folder_imports_only_from_those_before_it(file: Path) -> None:
    folder = folder_of(file)
    if folder:
        used = {name.split(".")[1] for name in imports(file) if name.startswith("fakellm.")} - {folder}
        assert used <= set(() if folder == "drivers" else FOLDERS[: FOLDERS.index(folder)])


_REPLY = "the keys of `reply:` are those of a message of chat"
_READ = "reads how chat's chunks are spelled and divided, dialect by dialect"
_DRAWN = "draws answers as chat has them: a reasoning, a text and a refusal, then the tool calls"
OF_CHAT = {
    "scenarios/reply.py": _REPLY,
    "scenarios/usage.py": f"{_REPLY}, and so are those of its `usage:`",
    "importing/guess_provider.py": "knows which dialects a recorded host may send",
    "importing/chat_rule.py": "tries the dialects on each recording of chat",
    "importing/fewest_fields.py": _READ,
    "importing/infer.py": _READ,
    "importing/habit_search.py": _READ,
    "importing/infer_whole.py": _READ,
    "importing/read_division.py": _READ,
    "importing/read_habits.py": _READ,
    "importing/read_spelling.py": _READ,
    "fuzzing/draws/answers.py": _DRAWN,
    "fuzzing/draws/base_answers.py": _DRAWN,
    "fuzzing/draws/payloads.py": _DRAWN,
    "fuzzing/draws/steps.py": _DRAWN,
    "fuzzing/strategies/completions.py": _DRAWN,
    "fuzzing/reference_client.py": "is a client of chat",
}
"""The modules outside `apis/` that import from `apis/chat/`, each with its reason. All others know an API by its
protocol."""


def test_only_these_modules_know_chat() -> None:
    found = set()
    for file in FILES:
        used = imports(file)
        if folder_of(file) != "apis":
            assert "fakellm.apis" not in used, f"{file}: import from the module of the API instead"
            if any(f"{name}.".startswith("fakellm.apis.chat.") for name in used):
                found.add(file.relative_to(ROOT / "fakellm").as_posix())
    assert found == set(OF_CHAT)


@pytest.mark.parametrize("folder", PURE)
def test_the_core_does_no_io(folder: str) -> None:
    files = [file for file in FILES if folder_of(file) == folder]
    assert files
    for file in files:
        assert {name for name in imports(file) if name in IO or name.split(".")[0] in IO} == set()


def test_every_folder_is_known_and_few_modules_lie_at_the_top() -> None:
    assert {folder_of(file) for file in FILES} == {"", *FOLDERS}
    assert sum(folder_of(file) == "" for file in FILES) <= 6


MANY = {"apis/chat/providers", "recordings/formats", "drivers"}
"""Folders of many files that are alike, one for each provider, format or client."""


def test_folders_and_modules_stay_small() -> None:
    sizes: dict[str, int] = {}
    for file in FILES:
        folder = file.parent.relative_to(ROOT / "fakellm").as_posix()
        sizes[folder] = sizes.get(folder, 0) + (file.name != "__init__.py")
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 350, file
    assert {folder for folder, size in sizes.items() if size > 15} <= MANY


@pytest.mark.parametrize("module", ["fakellm", "fakellm.testing.pytest_plugin"])
def test_importing_it_is_light(module: str) -> None:
    heavy = "{'aiohttp', 'hypothesis', 'yaml', 'asyncio', 'jsonschema'}"
    # asyncio may come with pytest; what counts is what the import adds
    code = (
        f"import pytest, sys; before = set(sys.modules); import {module}; print({heavy} & (set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"


def test_a_server_without_a_scenario_starts_with_little_more_than_aiohttp() -> None:
    """The modules count, not the time, which is noisy: each of these costs a tenth of the start or more."""
    command = [sys.executable, "-X", "importtime", "-m", "fakellm", "serve", "--port", "0", "--watch-stdin"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "aiohttp.web" in loaded
    heavy = {"yaml", "hypothesis", "jsonschema", "h11", "httpx2", "importlib.metadata", "fakellm.scenarios.loader"}
    assert not heavy & loaded
    assert not [name for name in loaded if name.startswith(("fakellm.fuzzing", "fakellm.importing"))]
    assert not [name for name in loaded if name.startswith("fakellm.apis.chat.providers.")]


def test_the_garbage_collector_looks_at_nothing_that_the_start_made() -> None:
    code = (
        "import gc; from fakellm.cli import main; from fakellm.server.garbage import server_only; server_only(); "
        "main.get_command(None, 'serve'); "
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True"]
