"""Paths to values in JSON: `metadata.run`, `messages[-1].name`. It owns this syntax and knows no requests."""

from __future__ import annotations

import re
from typing import Any

from fakellm.base.validation import Path

_PATH = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[-?\d+\])*")
_STEP = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")


def path_of(text: str) -> Path:
    """The steps of a path: keys, and in brackets the numbers of list items, from 0, or negative from the end.

    Raises ValueError if the text is not a path.
    """
    if not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} is not a path; write one such as metadata.run or messages[-1].name")
    return tuple(int(index) if index else key for index, key in _STEP.findall(text))


def value_at(data: Any, path: Path) -> Any:
    """The value at a path; None if there is none, as if it were null."""
    for step in path:
        if isinstance(step, str) and isinstance(data, dict):
            data = data.get(step)
        elif isinstance(step, int) and isinstance(data, list) and -len(data) <= step < len(data):
            data = data[step]
        else:
            return None
    return data
