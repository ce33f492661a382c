"""Writes Markdown: tables and paragraphs. Knows nothing of what they contain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- `python -m docs.generate` makes this page from the code. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a line break or a bar in a cell does not end it."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def prose(text: str) -> str:
    """A docstring as Markdown: its double backticks are single ones here, and a `*` of code is no emphasis."""
    return re.sub(r"``(.+?)``", r"`\1`", text)
