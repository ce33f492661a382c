"""Hints for a plain text that looks like a pattern, and for a path that needs brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fakellm.base.validation import shortened
from fakellm.generate.json_schema.regex_cost import growth

_PATTERN = re.compile(r"[\^$*.+?|\\\[]")
"""Characters that are common in patterns and rare in plain texts."""

_LONGEST = 200
"""Characters of a text that may be a pattern."""

_SEARCHED = 2_000
"""Characters of a text in which it is searched."""

_TEXTS = 100
"""Texts in which it is searched: the last ones."""

_MILLISECONDS = 10.0
"""How long the search may take as a regular expression: it runs on the event loop, and nobody has asked for it."""


def pattern_of(expected: str, *actual: str) -> str:
    """What follows the difference between a plain text and others, of which it matches one as a pattern; else empty."""
    if len(expected) > _LONGEST or not _PATTERN.search(expected):
        return ""
    texts = [text[:_SEARCHED] for text in actual[-_TEXTS:]]
    slashed = len(expected) > 2 and expected[0] == expected[-1] == "/"
    regex, parts = expected[1:-1] if slashed else expected, re.split(r"\*+", expected)
    if not _matches(regex, texts):
        if not any(_in_order(parts, line) for text in texts for line in text.split("\n")):
            return ""
        regex = ".*".join(map(re.escape, parts))
    written = shortened(regex.removesuffix(".*") or ".*")
    return f" (a plain text; for a pattern, write {{regex: {written}}}, in Python fakellm.Pattern(regex={written}))"


def _matches(regex: str, texts: Sequence[str]) -> bool:
    """Whether this is a regular expression that matches one of the texts, as far as that takes little time."""
    if sum(map(growth(regex).milliseconds, texts)) > _MILLISECONDS:
        return False
    try:
        return any(re.search(regex, text) for text in texts)
    except (re.error, OverflowError, RecursionError):
        return False


def _in_order(parts: Sequence[str], line: str) -> bool:
    """Whether a line has these parts one after the other, whatever is between them."""
    end = 0
    for part in parts:
        start = line.find(part, end)
        if start < 0:
            return False
        end = start + len(part)
    return True


def with_brackets(path: str) -> str:
    """The path with each number between dots as the place in a list; empty if it has none."""
    written = re.sub(r"\.(\d+)(?=[.\[]|$)", r"[\1]", path)
    return written if written != path else ""
