"""Which versions of the scenario format are read: an unknown one is refused, and a renamed key works for one release.

A type lists in `renamed` the former names of its keys: ``renamed = {"text": "content"}``. Knows no files.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from fakellm.base.validation import Path, Problem
from fakellm.scenarios.scenario import VERSION


def newer(data: Any) -> Problem | None:
    """The problem with a scenario of a later version, whatever else is in it."""
    version = data.get("version") if isinstance(data, dict) else None
    if not isinstance(version, int) or version <= VERSION:
        return None
    remedy = "use a later fakellm: pip install --upgrade fakellm-server"
    return Problem(("version",), "value", f"a scenario of version {version}; this fakellm reads {VERSION}: {remedy}")


def with_new_names(data: Any, places: Sequence[tuple[Path, str]], lines: Sequence[str]) -> Any:
    """The data with its renamed keys, each at the end of a path, under its new name. Warns with the lines."""
    found = deepcopy(data)
    for path, new in sorted(places, key=lambda place: -len(place[0])):
        *above, old = path
        block = found
        for step in above:
            block = block[step]
        block[new] = block.pop(old)
    for line in lines:
        warnings.warn(line, FutureWarning, stacklevel=2)
    return found
