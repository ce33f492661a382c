"""Spells a whole body as a rule sets it: which keys its objects have and in what order, extra values, and its text.

What the reply has is always sent: a key that carries content is never left out or replaced. Knows no provider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON, WordForWord, indented, spelled

PLACES = {
    "": "keys",
    "choice.": "choice_keys",
    "delta.": "delta_keys",
    "call.": "call_keys",
    "function.": "function_keys",
    "usage.": "usage_keys",
}
"""The objects of a body, and the field of a spelling that orders the keys of each. A message counts as a delta."""

CONTENT = frozenset(
    {
        *("choices", "usage", "message", "text", "finish_reason", "logprobs", "content", "refusal", "annotations"),
        *("reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function_call", "function", "custom"),
        *("name", "arguments", "input"),
    }
)
"""The keys that carry content, if they have a value."""


def respelled(body: JSON, spelling: Spelling) -> JSON:
    """The body with the keys that the spelling sets."""
    return walked(body, lambda place, number, values: _respelled(place, number, values, spelling))


def walked(body: JSON, change: Callable[[str, int, JSON], JSON]) -> JSON:
    """The body with each of its objects replaced by `change` of its place, its number there and itself, inner objects
    first. The number is that of the choice, or of the call within it."""

    def call(number: int, values: JSON) -> JSON:
        kind = "custom" if values.get("type") == "custom" else "function"
        called = values.get(kind)
        inner = {kind: change("function.", number, called)} if isinstance(called, dict) else {}
        return change("call.", number, values | inner)

    def choice(number: int, values: JSON) -> JSON:
        message = values.get("message")
        if isinstance(message, dict):
            calls = message.get("tool_calls")
            if isinstance(calls, list) and calls:
                message = message | {"tool_calls": [call(place, each) for place, each in enumerate(calls)]}
            values = values | {"message": change("delta.", number, message)}
        return change("choice.", number, values)

    choices = [choice(number, each) for number, each in enumerate(body.get("choices") or ())]
    usage = body.get("usage")
    inner: JSON = {"choices": choices} if choices else {}
    return change("", 0, body | inner | ({"usage": change("usage.", 0, usage)} if isinstance(usage, dict) else {}))


def _respelled(place: str, number: int, values: JSON, spelling: Spelling) -> JSON:
    own = own_values(place, number, spelling)
    values = values | {key: value for key, value in own.items() if not carries_content(key, values.get(key), place)}
    keys = getattr(spelling, PLACES[place])
    if keys is None:
        return values
    if place == "choice." and "message" not in keys:
        keys = tuple("message" if key == "delta" else key for key in keys)
    if place == "call.":
        values = values if "index" in values else values | {"index": number}
        keys = tuple("custom" if key == "function" and "function" not in values else key for key in keys)
    content = {key: value for key, value in values.items() if carries_content(key, value, place)}
    without = {name_at(place, key) for key in spelling.each or ()} - {*own, *content}
    return {key: values.get(key) for key in keys if key not in without} | {
        key: value for key, value in content.items() if key not in keys
    }


def carries_content(key: str, value: Any, place: str) -> bool:
    """Whether a key of an object at this place has content that is in the reply. A message that only has its role has
    none."""
    if key == "message" and isinstance(value, dict):
        return any(carries_content(name, inner, "delta.") for name, inner in value.items())
    return (key in CONTENT or (place, key) == ("call.", "extra_content")) and is_filled(value)


def is_filled(value: Any) -> bool:
    """Whether there is any text or number in a value: an object whose values are all empty has none."""
    if isinstance(value, dict):
        value = list(value.values())
    return any(map(is_filled, value)) if isinstance(value, list) else bool(value)


def own_values(place: str, number: int, spelling: Spelling) -> dict[str, Any]:
    """The extra values at a place, for every object or for the one of this number."""
    found: dict[str, Any] = {}
    for key, value in (spelling.extra or {}).items():
        if (name := name_at(place, key)) is not None:
            found[name] = value
    for key, values in (spelling.each or {}).items():
        if (name := name_at(place, key)) is not None and number in (
            values if isinstance(values, dict) else range(len(values))
        ):
            found[name] = values[number]
    if spelling.order in ("sorted", "reversed"):
        found = {name: WordForWord(value) for name, value in found.items()}
    return found


def name_at(place: str, key: str) -> str | None:
    """The name of an extra key at this place; None if the key belongs to another place."""
    at = next((prefix for prefix in ("choice.", "delta.", "call.", "usage.", "piece.") if key.startswith(prefix)), "")
    return key.removeprefix(at) if at == place else None


def written(body: JSON, spelling: Spelling, usual_indent: int | None) -> str:
    """The text of the body; `usual_indent`: how a body is indented if the spelling does not set it."""
    text = spelled(body, spelling)
    indent = usual_indent if spelling.indent is None else spelling.indent
    return indented(text, indent) if indent else text
