"""The pages that are made from the code are those of the code, and leave out no public name."""

from __future__ import annotations

import pytest

import fakellm
from docs.generate import python_names
from docs.generate.__main__ import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `python -m docs.generate`"


def test_every_public_name_is_on_its_page() -> None:
    assert sorted(name for names in python_names.GROUPS.values() for name in names) == fakellm.__all__
