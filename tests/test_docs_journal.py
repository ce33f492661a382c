"""docs/reference/journal.md: its examples run, and its tables have every key of an entry and of a reply."""

from __future__ import annotations

import re

import pytest

import fakellm
from fakellm.engine.entry import SentReply
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "journal.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def keys(table: str) -> list[str]:
    """The keys in the first column of the table after this sentence."""
    rows = TEXT.partition(table)[2].partition("|---|---|\n")[2].partition("\n\n")[0]
    return [key for row in rows.split("\n") for key in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_the_tables_have_every_key() -> None:
    assert sorted(keys("## An entry")) == sorted(fakellm.Entry.__struct_fields__)
    assert sorted(keys("`reply` is read from")) == sorted(SentReply.__struct_fields__)


@pytest.mark.parametrize("example", EXAMPLES, ids=[re.findall(r"def (\w+)\(fakellm\)", each)[0] for each in EXAMPLES])
def test_an_example_passes(example: str, fakellm: fakellm.Handle) -> None:
    names: dict[str, object] = {}
    exec(compile(example, "docs/reference/journal.md", "exec"), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_") and callable(value))
    test(fakellm)
