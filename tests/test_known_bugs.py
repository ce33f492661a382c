"""The list of client bugs has every row that a step names, and docs/reference/bugs.md shows all of it."""

from __future__ import annotations

import re

from fakellm.fuzzing.known_bugs import BUGS
from fakellm.fuzzing.tier_table import ELSEWHERE, FAULTS, FAULTS_ELSEWHERE, TIERS
from fakellm.fuzzing.tiers import named
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "bugs.md").read_text(encoding="utf-8")
STEPS = {name: list(named(name).rows) for name in TIERS} | {name: rows.split() for name, rows in FAULTS.items()}
for table in (*ELSEWHERE.values(), *FAULTS_ELSEWHERE.values()):
    for name, value in table.items():  # type: ignore[attr-defined] # both are mappings
        rows = value if isinstance(value, str) else value[1]
        STEPS[name] = [*STEPS[name], *rows.split()]


def line(row: str) -> str:
    """The row of the table in docs/reference/bugs.md."""
    threads = zip(BUGS[row].threads, BUGS[row].links, strict=True)
    seen = ", ".join(f"[{name}]({link})" for name, link in threads)
    steps = ", ".join(f"`{name}`" for name, rows in STEPS.items() if row in rows)
    return f"| {row} | {BUGS[row].what} | {seen} | {steps} |"


def test_every_row_that_a_step_names_is_known() -> None:
    assert {row for rows in STEPS.values() for row in rows} - set(BUGS) == set()


def test_the_docs_show_every_row() -> None:
    assert re.findall(r"^\| [A-J]\d+ .*$", TEXT, re.MULTILINE) == [line(row) for row in BUGS]


def test_a_thread_is_an_address() -> None:
    assert BUGS["A4"].links[0] == "https://github.com/openai/openai-python/issues/498"
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", each) for bug in BUGS.values() for each in bug.threads)
