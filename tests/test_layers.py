"""The structure holds: a folder imports only from those before it, the core does no I/O, and imports stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = (
    *("base", "model", "wire", "streaming", "apis", "faults", "generate", "scenarios", "engine", "recordings"),
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
