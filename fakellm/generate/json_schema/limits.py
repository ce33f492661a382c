"""The limits of a JSON Schema, checked before a value of it is made. It makes no values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fakellm.base.budget import BUDGET
from fakellm.base.short_texts import cached_if_short
from fakellm.generate.json_schema.merge import NoValueError
from fakellm.generate.json_schema.regex_cost import size
from fakellm.generate.json_schema.regex_tree import parse


def check(schema: dict[str, Any]) -> None:
    """Raises NoValueError, which names the limit, if a regular expression anywhere in the schema has too many parts."""
    for pattern in _patterns(schema):
        if _size(pattern) > BUDGET.pattern_steps:
            message = f"a regular expression in it has more than {BUDGET.pattern_steps:,} parts with all its repeats"
            raise NoValueError(f"{message}, the limit pattern_steps: {pattern[:100]!r}")


def _patterns(schema: Any) -> Iterator[str]:
    pending = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if isinstance(value.get("pattern"), str):
                yield value["pattern"]
            if isinstance(value.get("patternProperties"), dict):
                yield from map(str, value["patternProperties"])
            value = list(value.values())
        if isinstance(value, list):
            pending += [each for each in value if isinstance(each, (dict, list))]


@cached_if_short(256)
def _size(pattern: str) -> float:
    try:
        return size(parse(pattern))
    except (re.error, RecursionError, OverflowError):
        return 0.0  # it is refused where it is used
