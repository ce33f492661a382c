"""What a message has that no other block expresses, such as audio: opaque blocks of chat, one for each chunk.

A whole body has the fragments joined, as clients join those of a stream. Knows no provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.meaning import NAME
from fakellm.base.json_text import JSON
from fakellm.model.blocks import Choice, Opaque

_TEXTS = frozenset({"text", "summary", "signature", "data", "transcript"})
"""The keys whose texts arrive in pieces; any other text replaces the one before."""


def fragments_of(choice: Choice) -> JSON:
    """The joined values of a choice's opaque blocks."""
    found: JSON = {}
    for block in choice.blocks:
        if isinstance(block, Opaque) and block.api == NAME:
            found = joined(found, block.value)
    return found


def with_fragments(choice: Choice, value: JSON) -> Choice:
    """The choice with an opaque block before its calls, if there is any value."""
    blocks = choice.blocks[: len(choice.blocks) - len(choice.tool_calls)]
    return replace(choice, blocks=(*blocks, Opaque(NAME, value), *choice.tool_calls)) if value else choice


def joined(value: JSON, more: JSON) -> JSON:
    """An object with what a later fragment of it has."""
    return value | {key: _joined(key, value[key], each) if key in value else each for key, each in more.items()}


def _joined(key: str, value: Any, more: Any) -> Any:
    if isinstance(value, dict) and isinstance(more, dict):
        return joined(value, more)
    if isinstance(value, list) and isinstance(more, list):
        return list(_items(value, more))
    if isinstance(value, str) and isinstance(more, str) and key in _TEXTS:
        return value + more
    return more


def _items(value: list[Any], more: list[Any]) -> Iterator[Any]:
    """The items of both lists; those with the `index` of an earlier one continue it."""
    later = list(more)
    for item in value:
        if isinstance(item, dict) and "index" in item:
            for each in [each for each in later if isinstance(each, dict) and each.get("index") == item["index"]]:
                item = joined(item, each)
                later.remove(each)
        yield item
    yield from later
