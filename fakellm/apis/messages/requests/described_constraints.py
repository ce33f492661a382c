"""Reads back the constraints that SDKs move from a schema into its descriptions, because Anthropic refuses them there.

A model follows what it reads in a description; so must a generated value, which the SDK checks against its own schema.
Anthropic's SDKs end a description with `{minimum: 1, maxItems: 3}`: with values as JSON from Node, and as Python prints
them. The AI SDK adds the line `minimum: 1; max items: 3.` Nothing else in a description is read.
https://github.com/anthropics/anthropic-sdk-python/blob/main/src/anthropic/lib/_parse/_transform.py
https://github.com/vercel/ai/blob/main/packages/anthropic/src/sanitize-json-schema.ts
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_MAPS, _LISTS, _ONE = ("properties", "$defs", "definitions"), ("anyOf", "allOf", "oneOf"), ("items",)
"""The keys of a schema with others: by name, in a list, or one."""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (TypeError, re.error, RecursionError, OverflowError):
        return False
    return True


_CONSTRAINTS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _count),
    "multipleOf": lambda value: _number(value) and value > 0,
    "uniqueItems": lambda value: isinstance(value, bool),
    "enum": lambda value: isinstance(value, list) and bool(value),
    "pattern": _pattern,
    "format": lambda value: isinstance(value, str),
}
"""The constraints that are read, and what their values can be."""

_KEY = re.compile(r"(?:^|, )([A-Za-z$]+): ")
_SPACED_KEY = re.compile(r"(?:^|; )([a-z]+(?: [a-z]+)*): ")


def restored(schema: Any) -> Any:
    """The schema with the constraints in its descriptions and those of its parts. It keeps its own."""
    if not isinstance(schema, dict):
        return schema
    parts: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, dict):
            parts[key] = {name: restored(part) for name, part in value.items()}
        elif key in _LISTS and isinstance(value, list):
            parts[key] = [restored(part) for part in value]
        elif key in _ONE:
            parts[key] = restored(value)
    description = schema.get("description")
    return {**schema, **parts, **(_described(description, schema) if isinstance(description, str) else {})}


def _described(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    found = {key: _value(text) for key, text in _texts(description) if key in _CONSTRAINTS and key not in schema}
    return {key: value for key, value in found.items() if _CONSTRAINTS[key](value)}


def _texts(description: str) -> Iterator[tuple[str, str]]:
    """The constraints at the end of a description, each with the text of its value."""
    last, line = description.rpartition("\n\n")[2], description.rpartition("\n")[2]
    if last.startswith("{") and last.endswith("}"):
        yield from _split(last[1:-1], _KEY)
    elif line.endswith("."):
        for key, text in _split(line[:-1], _SPACED_KEY):
            first, *others = key.split(" ")
            yield first + "".join(word.capitalize() for word in others), text


def _split(text: str, key: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Each key in a text, with what follows it up to the next key."""
    found = list(key.finditer(text))
    ends = (*(match.start() for match in found[1:]), len(text))
    return ((match[1], text[match.end() : end]) for match, end in zip(found, ends, strict=False))


def _value(text: str) -> Any:
    """A value as JSON, or as Python prints it; any other text is one itself."""
    for spelled in (text, text.replace("'", '"'), text.lower()):
        try:
            return json.loads(spelled)
        except (ValueError, RecursionError):
            continue
    return text
