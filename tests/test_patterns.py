"""A long text costs the regular expressions of this project no memory: Python's `re` keeps about 130 bytes for each
repetition of a group that it may have to undo, a gigabyte for a prompt of 8 MB.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import tracemalloc

import pytest

import fakellm

LENGTH = 200_000
TEXTS = (
    '"' + "x" * LENGTH + '"',
    '"' + '\\"' * (LENGTH // 2) + '"',
    "'" + "\\x" * (LENGTH // 2),
    *(each * LENGTH for each in "x=1 \n"),
)


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """All that are constants of a module, by name."""
    found = {}
    for module in pkgutil.walk_packages(fakellm.__path__, "fakellm."):
        if module.name.endswith("__main__"):
            continue
        try:
            values = vars(importlib.import_module(module.name))
        except ImportError:  # an extra that is not installed
            continue
        found.update({f"{module.name}.{name}": each for name, each in values.items() if isinstance(each, re.Pattern)})
    return found


PATTERNS = patterns()


def test_there_are_patterns() -> None:
    assert "fakellm.engine.entry._STRING" in PATTERNS


@pytest.mark.parametrize("name", PATTERNS)
def test_a_long_text_costs_no_memory(name: str) -> None:
    pattern = PATTERNS[name]
    for text in TEXTS:
        tracemalloc.start()
        try:
            pattern.match(text.encode() if isinstance(pattern.pattern, bytes) else text)  # type: ignore[arg-type]
            assert tracemalloc.get_traced_memory()[1] < 2 * LENGTH
        finally:
            tracemalloc.stop()
