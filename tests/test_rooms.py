"""The structure holds: a room imports only from rows above it, the core knows no I/O, and imports stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROWS = (
    ("errors", "seed", "tokens", "bugs"),
    ("shape", "cuts"),
    ("bodypath", "places"),
    ("completion", "request", "sse", "wire"),
    ("framing", "transfer", "timing", "patch"),
    ("unframe",),
    ("fold", "variation"),
    ("callpieces", "logprobs", "observe", "thinking"),
    ("deltas",),
    ("divide", "sight"),
    ("dialects",),
    ("match", "generate", "faults", "template"),
    ("scenario", "cassettes", "reach", "tiers", "respell"),
    ("draws", "fit", "reply", "script", "sample", "schema", "document", "apart"),
    ("render", "infer", "journal", "sameness", "reproduce", "redact", "take"),
    ("provenance", "preview"),
    ("doors",),
    ("importer", "loader", "engine"),
    ("control",),
    ("app", "replayer", "strategies", "clock", "steps"),
    ("connection", "tape", "upstream", "drivers"),
    ("recorder", "server"),
    ("handle",),
    ("fuzzing",),
    ("commands", "pytest_plugin"),
    ("cli",),
    ("__main__", "__init__"),
)
ROW = {room: number for number, row in enumerate(ROWS) for room in row}
IO = {
    "aiohttp",
    "asyncio",
    "http.client",
    "logging",
    "os",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "urllib.request",
}
FILES = sorted(file for file in (ROOT / "fakellm").rglob("*.py") if "node_modules" not in file.parts)


def room_of(file: Path) -> str:
    return file.relative_to(ROOT / "fakellm").parts[0].removesuffix(".py")


def imports(file: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {f"fakellm.{alias.name}" for alias in node.names} if module == "fakellm" else {module}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_from_rows_above_it(file: Path) -> None:
    room = room_of(file)
    used = {name.split(".")[1] for name in imports(file) if name.startswith("fakellm.")} - {room}
    assert {other for other in used if ROW[other] >= ROW[room]} == set()


@pytest.mark.parametrize(
    "room", [room for row in ROWS[: ROW["app"] + 1] for room in row if room not in ("clock", "steps")]
)
def test_the_core_knows_no_io(room: str) -> None:
    files = [file for file in FILES if room_of(file) == room]
    assert files
    for file in files:
        assert {name for name in imports(file) if name in IO or name.split(".")[0] in IO} == set()


@pytest.mark.parametrize("module", ["fakellm", "fakellm.pytest_plugin"])
def test_importing_it_is_light(module: str) -> None:
    heavy = "{'aiohttp', 'hypothesis', 'yaml', 'asyncio', 'jsonschema'}"
    # asyncio may come with pytest; what counts is what the import adds
    code = (
        f"import pytest, sys; before = set(sys.modules); import {module}; print({heavy} & (set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"


def test_every_exported_name_is_there() -> None:
    import fakellm

    assert [name for name in fakellm.__all__ if not hasattr(fakellm, name)] == []
    assert set(fakellm.__all__) <= set(dir(fakellm))
    with pytest.raises(AttributeError, match="no attribute 'serv'"):
        fakellm.serv  # noqa: B018 # the look-up is the test
