"""The pages that are made from the code are those of the code, and leave out no public name."""

from __future__ import annotations

import re
from typing import get_args

import pytest

import fakellm
from docs.generate import python_names
from docs.generate.__main__ import FOLDER, PAGES
from fakellm.apis.route import HOMES
from tests.conftest import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `python -m docs.generate`"


def test_every_public_name_is_on_its_page() -> None:
    assert sorted(name for names in python_names.GROUPS.values() for name in names) == fakellm.__all__


def test_the_numbers_of_the_comparison_are_right() -> None:
    text = (ROOT / "docs" / "explanation" / "comparison.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\[(\d+) faults\]", text)) == {str(len(get_args(fakellm.faults.Fault)))}
    assert re.findall(r"five APIs in (\d+) \[dialects\]", text) == [
        str(sum(len(each.dialects) for each in HOMES.values()))
    ]
