"""Says how to write a plain text that is meant as a pattern, and a path that is meant to lead into a list."""

from __future__ import annotations

import re

from fakellm.base.validation import shortened

_PATTERN = re.compile(r"[\^$*.+?|\\\[]")
"""What a pattern has and a plain text seldom."""

_LONGEST = 200
"""Characters of a text that may be a pattern."""

_SEARCHED = 2_000
"""Characters of the text in which it is searched."""


def pattern_of(expected: str, actual: str) -> str:
    """What follows the difference between a plain text and another that it matches as a pattern; else empty."""
    if len(expected) > _LONGEST or not _PATTERN.search(expected):
        return ""
    slashed = len(expected) > 2 and expected[0] == expected[-1] == "/"
    for regex in (expected[1:-1] if slashed else expected, ".*".join(map(re.escape, expected.split("*")))):
        try:
            found = re.search(regex, actual[:_SEARCHED])
        except (re.error, OverflowError, RecursionError):
            continue
        if found:
            written = shortened(regex.removesuffix(".*") or ".*")
            python = f"in Python fakellm.Pattern(regex={written})"
            return f" (a plain text; for a pattern, write {{regex: {written}}}, {python})"
    return ""


def with_brackets(path: str) -> str:
    """The path with each number between dots as the place in a list; empty if it has none."""
    written = re.sub(r"\.(\d+)(?=[.\[]|$)", r"[\1]", path)
    return written if written != path else ""
