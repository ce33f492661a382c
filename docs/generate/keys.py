"""The page of every key of a scenario file, from its JSON Schema: type, default and description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from docs.generate.markdown import NOTE, prose, table
from fakellm.scenarios.editor_schema import scenario_schema

INTRODUCTION = f"""\
# All keys of a scenario

{NOTE}

Every key that a scenario file may have, with its type, its default and what it sets, as `fakellm schema` has them for
editors. For what they do, with examples, see [scenarios](scenarios.md), [the `stream` block](stream.md),
[timing](timing.md), [faults](faults.md) and [quotas](quotas.md).

The name of a type leads to its keys. [Dialects](stream.md#dialects) has all names of dialects.
"""
TOP = "ScenarioFile"


def page() -> str:
    """The text of the page."""
    definitions: dict[str, Any] = scenario_schema()["$defs"]
    return "\n".join([INTRODUCTION, *(_section(name, definitions) for name in _order(definitions))])


def _order(definitions: dict[str, Any]) -> list[str]:
    """The names of the types with keys, each after the first that has it."""
    found, waiting = [], [TOP]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            waiting += [each for each in _references(definitions[name]) if each not in found]
    return found


def _references(value: Any) -> Iterator[str]:
    """The names of the types in a part of the schema."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _section(name: str, definitions: dict[str, Any]) -> str:
    definition = definitions[name]
    head = f"## {_shown(name)}\n\n{prose(definition.get('description', ''))}".rstrip()
    if "properties" not in definition:
        return f"{head}\n\nOne of: {_type(definition)}.\n"
    required = definition.get("required", ())
    rows = [
        (f"`{key}`", _type(field), _default(key, field, required), prose(field.get("description", "")))
        for key, field in definition["properties"].items()
    ]
    return f"{head}\n\n{table(('key', 'type', 'default', 'what it sets'), rows)}"


def _shown(name: str) -> str:
    """The name of a type. Two types of one name are called after what they are: `Refusal fault`, `Refusal block`."""
    path, _, last = name.rpartition(".")
    kind = next((kind for part, kind in _KINDS.items() if part in path), "")
    return f"{last} {kind}".rstrip()


_KINDS = {"faults": "fault", "model.blocks": "block", "streaming": "of a stream", "model.deltas": "delta"}
"""What the types of a package are, where another package has a type of the same name."""


def _default(key: str, field: dict[str, Any], required: Any) -> str:
    if key in required:
        return "required"
    return f"`{json.dumps(field['default'], ensure_ascii=False)}`" if "default" in field else ""


def _type(field: dict[str, Any]) -> str:
    """A type in a few words."""
    if "$ref" in field:
        name = _shown(field["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.lower().replace(' ', '-')})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(each) for each in field["anyOf"]))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return _words(["null" if each is None else str(each) for each in field["enum"]])
    kind = field.get("type")
    if kind == "array":
        items = field.get("items") or field.get("prefixItems", [{}])[0]
        return f"list of {_type(items)}" if items else "list"
    if kind == "object":
        values = field.get("additionalProperties")
        return f"mapping to {_type(values)}" if isinstance(values, dict) and values else "mapping"
    return _NAMES.get(str(kind), "any value") + _bounds(field)


_NAMES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "`null`"}


def _words(words: list[str]) -> str:
    """The words that are allowed; of many, only some."""
    shown = ", ".join(f"`{word}`" for word in words[:_MOST_WORDS])
    return shown if len(words) <= _MOST_WORDS else f"{shown}, … ({len(words)} words)"


_MOST_WORDS = 8


def _bounds(field: dict[str, Any]) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}
    bounds = [f"{word} {field[key]:,g}" for key, word in words.items() if key in field]
    return f", {' and '.join(bounds)}" if bounds else ""
