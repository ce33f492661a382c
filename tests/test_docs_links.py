"""Each link in README, CONTRIBUTING and docs/ leads to a file and a heading, and so does each page that a message names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them: words in lower case, joined by hyphens."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[(.+?)\]\(.+?\)", r"\1", heading).lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{number}" if number else slug for slug, most in found.items() for number in range(most + 1)}


def broken(page: Path, text: str) -> Iterator[str]:
    """The links in a text of a page that lead nowhere."""
    for target in re.findall(r"\]\((?!\w+:)([^) ]+)\)", re.sub(r"`[^`\n]+`", "", text)):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_link_leads_somewhere(page: Path) -> None:
    assert list(broken(page, prose(page))) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    readme = ROOT / "README.md"
    assert list(broken(readme, "[a](docs/none.md) [b](#nothing) [c](LICENSE) [d](#documentation)")) == [
        "docs/none.md",
        "#nothing",
    ]


def test_each_page_that_a_message_names_is_there() -> None:
    named = {
        (name, anchor)
        for file in (ROOT / "fakellm").rglob("*.py")
        for name, anchor in re.findall(r"(?<![\w/])(docs/[\w/-]+\.md)(?:#([\w-]+))?", file.read_text(encoding="utf-8"))
    }
    assert named
    assert {name for name, _ in named if not (ROOT / name).exists()} == set()
    assert {(name, anchor) for name, anchor in named if anchor and anchor not in anchors(ROOT / name)} == set()
