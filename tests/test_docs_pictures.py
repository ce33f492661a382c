"""Each picture in docs/ is the one that its script draws, and is shown by a page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from docs.pictures import shrinking
from docs.pictures.__main__ import FOLDER, PICTURES
from docs.pictures.canvas import WIDTH
from fakellm.fuzzing.tiers import steps
from tests.conftest import ROOT

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PICTURES[name](), "run `python -m docs.pictures`"


def test_each_picture_is_shown() -> None:
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")]
    assert {file.name for file in FOLDER.glob("*.svg")} == set(PICTURES)
    assert {name for name in PICTURES if not any(f"pictures/{name})" in page for page in pages)} == set()


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_leaves_the_picture_or_runs_into_another(name: str) -> None:
    root = ElementTree.parse(FOLDER / name).getroot()
    lines: dict[float, list[tuple[float, float]]] = {}
    for text in root.iter(f"{SVG}text"):
        length, x = float(text.attrib["textLength"]), float(text.attrib["x"])
        start = x - length if text.get("text-anchor") == "end" else x
        lines.setdefault(float(text.attrib["y"]), []).append((start, start + length))
        assert start > 0, text.text
        assert start + length < WIDTH, text.text
    for spans in lines.values():
        spans.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_rule_that_shrinks_ends_with_one_step() -> None:
    found = shrinking.failing()
    assert len(list(steps(found[0][1].stream))) > 2
    assert [step.name for step in steps(found[-1][1].stream)] == ["padding: no_delta"]
