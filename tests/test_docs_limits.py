"""docs/reference/limits.md has every limit of the code with its value and option, and nothing else."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from fakellm.base.budget import Budget
from fakellm.cli.serve_command import command
from fakellm.engine.state import Limits
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w.]+)` \| ([\d,]+) \| (?:`(--[\w-]+)` )?\| (.+) \|$", PAGE, re.MULTILINE)
LISTED = {name: (int(value.replace(",", "")), option) for name, value, option, _ in ROWS}

NAME = re.compile(r"(MOST|MAX|LIMIT)_\w+|\w+_(SECONDS|PATIENCE|BYTES|LINES)|GRACE|PATIENCE|BACKLOG|PIECE|SHOWN")
"""Names of constants that are limits."""


def constants() -> set[str]:
    """The public constants of the package that are limits; those of the fuzzer and its drivers are its own."""
    found = set()
    for file in sorted((ROOT / "fakellm").rglob("*.py")):
        parts = file.relative_to(ROOT / "fakellm").with_suffix("").parts
        if parts[0] in ("fuzzing", "drivers"):
            continue
        module = ".".join(part for part in parts if part != "__init__")
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            found |= {f"{module}.{name}" for name in names if NAME.fullmatch(name) and name[0] != "_"}
    return found


def test_every_row_is_read() -> None:
    assert len(ROWS) == PAGE.count("\n| ") - 1  # but the head
    assert len(LISTED) == len(ROWS)


def test_every_limit_of_the_code_is_listed() -> None:
    fields = {*Budget.__struct_fields__, *Limits.__struct_fields__}
    assert set(LISTED) == fields | constants()


@pytest.mark.parametrize("name", LISTED)
def test_a_limit_has_its_value_and_option(name: str) -> None:
    value, option = LISTED[name]
    defaults = msgspec.structs.asdict(Budget()) | msgspec.structs.asdict(Limits())
    module, _, constant = f"fakellm.{name}".rpartition(".")
    assert value == (defaults[name] if name in defaults else getattr(import_module(module), constant))
    options = {each.opts[0]: each.default for each in command.params if each.opts[0].startswith("--")}
    expected = f"--{name.replace('_', '-')}"
    assert option == (expected if expected in options else "")
    assert not option or options[option] == value


@pytest.mark.parametrize("page", ["limits.md", "security.md"])
def test_the_readme_and_the_page_of_the_server_lead_there(page: str) -> None:
    assert f"docs/reference/{page}" in Path(ROOT, "README.md").read_text(encoding="utf-8")
    assert f"]({page}" in Path(ROOT, "docs", "reference", "server.md").read_text(encoding="utf-8")
