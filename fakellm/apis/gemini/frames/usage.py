"""Token counts as `usageMetadata`, and back. Knows no frames.

The total is the sum of prompt, candidates, thoughts and the prompt of tools; candidates exclude thoughts. Google leaves
out counts of 0. What the counts do not determine is the usage's own: further keys, also null ones, and under `absent`
the keys that are missing though they would follow.
https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from fakellm.apis.gemini.habits import GeminiHabits
from fakellm.apis.gemini.words import NAME, modality
from fakellm.base.json_text import spelled
from fakellm.base.template import Verbatim
from fakellm.model.blocks import Usage, with_own

_COUNTS = {
    "promptTokenCount": "input",
    "candidatesTokenCount": "output",
    "cachedContentTokenCount": "cached",
    "thoughtsTokenCount": "reasoning",
}
_TOTAL = "totalTokenCount"
_TOOLS = "toolUsePromptTokenCount"
_DETAILS = {
    "promptTokensDetails": ("prompt", "input"),
    "cacheTokensDetails": ("cached", "cached"),
    "candidatesTokensDetails": ("candidates", "output"),
}


def metadata(usage: Usage, habits: GeminiHabits) -> dict[str, Any]:
    """The `usageMetadata` of these counts."""
    own = dict(usage.own.get(NAME, {}))
    absent = own.pop("absent", ())
    value = _derived(usage, habits, own.get(_TOOLS)) | own
    return ordered({key: item for key, item in value.items() if key not in absent}, _order(habits))


_MARKS = {"input": 10**17 + 61, "output": 2 * 10**17 + 317, "cached": 4 * 10**17 + 733, "reasoning": 8 * 10**17 + 1301}
"""Numbers that no text has."""


def spelled_metadata(habits: GeminiHabits) -> Callable[[Usage], Any]:
    """Makes the `usageMetadata` of the many counts of a stream, as JSON: it is spelled once for all that have the same
    keys, and then only the numbers are put in."""
    formats: dict[tuple[bool, ...], str] = {}

    def made(usage: Usage) -> Any:
        if usage.own:
            return metadata(usage, habits)
        counts = {name: getattr(usage, name) for name in _MARKS}
        keys = tuple(map(bool, counts.values()))
        if keys not in formats:
            formats[keys] = _format({name: mark for name, mark in _MARKS.items() if counts[name]}, habits)
        return Verbatim(formats[keys] % (counts | {"total": total(usage)}))

    return made


def _format(marks: Mapping[str, int], habits: GeminiHabits) -> str:
    sample = replace(Usage(), **marks)
    text = spelled(metadata(sample, habits), habits.spelling).replace("%", "%%")
    for name, mark in (*marks.items(), ("total", total(sample))):
        text = text.replace(str(mark), f"%({name})d") if mark else text
    return text


def total(usage: Usage) -> int:
    """The sum of all tokens."""
    return usage.input + usage.output + usage.reasoning


def usage_of(value: dict[str, Any], habits: GeminiHabits) -> Usage:
    """The counts in a `usageMetadata`."""
    read: dict[str, Any] = {name: _number(value.get(key)) for key, name in _COUNTS.items()}
    found = Usage(**read)
    derived = _derived(found, habits, value.get(_TOOLS))
    own = {key: item for key, item in value.items() if key not in derived or not _same(derived[key], item)}
    absent = [key for key in derived if key not in value]
    return Usage(
        found.input,
        found.output,
        found.cached,
        0,
        found.reasoning,
        with_own({}, NAME, own | ({"absent": absent} if absent else {})),
    )


def counts(value: Any) -> bool:
    """Whether a `usageMetadata` counts any tokens."""
    return isinstance(value, dict) and not {*_COUNTS, _TOTAL}.isdisjoint(value)


def is_count(value: Any, habits: GeminiHabits) -> bool:
    """Whether a `usageMetadata` is more than what frames without token counts have."""
    return isinstance(value, dict) and (counts(value) or value != habits.between)


def ordered(value: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The value with these keys first, in this order."""
    first = {key: value[key] for key in keys if key in value}
    return first | value


def _order(habits: GeminiHabits) -> tuple[str, ...]:
    return habits.spelling.usage_keys or habits.dialect.usage_keys


def _derived(usage: Usage, habits: GeminiHabits, tools: Any) -> dict[str, Any]:
    """What follows from the counts."""
    value: dict[str, Any] = {key: getattr(usage, name) for key, name in _COUNTS.items() if getattr(usage, name)}
    value[_TOTAL] = total(usage) + _number(tools)
    for key, (detail, name) in _DETAILS.items():
        if detail in habits.details and getattr(usage, name):
            value[key] = [{"modality": modality(habits.enums), "tokenCount": getattr(usage, name)}]
    return value | habits.usage


def _number(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _same(one: Any, other: Any) -> bool:
    """Whether two values are written alike, in any order of keys: 1, 1.0 and true are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
