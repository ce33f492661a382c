"""Where a value stands in JSON: `metadata.run`, `messages[-1].name`. Owns this small syntax; knows no request."""

from __future__ import annotations

import re
from typing import Any

from fakellm.base.validation import Path

_PATH = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[-?\d+\])*")
_STEP = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")


def path_of(text: str) -> Path:
    """The steps of a path: keys, and places in lists in brackets, from 0 or, negative, from the end.

    Raises ValueError when it is no path.
    """
    if not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} is no path; write one like metadata.run or messages[-1].name")
    return tuple(int(place) if place else key for place, key in _STEP.findall(text))


def value_at(data: Any, path: Path) -> Any:
    """What stands there; None where nothing does, as if it were null."""
    for step in path:
        if isinstance(step, str) and isinstance(data, dict):
            data = data.get(step)
        elif isinstance(step, int) and isinstance(data, list) and -len(data) <= step < len(data):
            data = data[step]
        else:
            return None
    return data
