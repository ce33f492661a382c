"""Reads the habits of a recorded stream or body, and the values that were drawn for it: the inverse of the writer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.messages.dialect import MessagesDialect
from fakellm.apis.messages.habits import MessagesHabits, settings
from fakellm.apis.protocol import Values
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import dumps, spelled
from fakellm.wire.sse import Event

_SPELLINGS = tuple(
    Spelling(ascii=escaped, html=html, spaces=spaces, order=order)
    for order in (None, "sorted")
    for html in (False, True)
    for escaped in (False, True)
    for spaces in (False, True)
)


def infer(events: Sequence[Event], dialect: MessagesDialect) -> tuple[MessagesHabits, Values]:
    """The habits and the drawn values of a stream."""
    usual = settings(Variation(), dialect).habits
    texts = [_without_pad(event.data) for event in events]
    data = [_object(event.data) for event in events]
    message: dict[str, Any] = next((each["message"] for each in data if isinstance(each.get("message"), dict)), {})
    closing = next((each for each in data if each.get("type") == "message_delta"), {})
    keys = {
        "message": tuple(message),
        "usage": _keys(message.get("usage")),
        "delta": _keys(closing.get("delta")),
        "delta_usage": _keys(closing.get("usage")),
        **_block_keys([*_list(message.get("content")), *(each.get("content_block") for each in data)]),
    }
    pads = [pad for _, pad in texts]
    ended = next((n for n, each in enumerate(data) if each.get("type") == "message_stop"), len(data))
    habits = replace(
        usual,
        keys={**usual.keys, **{kind: order for kind, order in keys.items() if order}},
        spelling=_spelling(
            [(text, each) for (text, _), each in zip(texts, data, strict=True) if each.get("type", "ping") != "ping"]
        ),
        padded=any(pads),
        pads="".join(f"{min(pad, 15):x}" for pad in pads) if any(pads) else "",
        done=any(event.data == "[DONE]" for event in events[ended:]),
        start="input",
    )
    return habits, _drawn(message)


def infer_whole(body: bytes, dialect: MessagesDialect) -> tuple[MessagesHabits, Values]:
    """The habits and the drawn values of a body. Raises ValueError if it is not a JSON object."""
    text = body.decode("utf-8", "replace")
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("a message must be an object")
    usual = settings(Variation(), dialect).habits
    keys = {
        "message": tuple(message),
        "usage": _keys(message.get("usage")),
        **_block_keys(_list(message.get("content"))),
    }
    inner = text.strip(" \t\r\n")
    before = len(text) - len(text.lstrip(" \t\r\n"))
    indents = [len(found) for found in re.findall(r"(?<=^\{\n) +", inner)]
    habits = replace(
        usual,
        keys={**usual.keys, **{kind: order for kind, order in keys.items() if order}},
        spelling=_spelling([(inner, message)]),
        indent=next((each for each in indents if dumps(message, each) == inner), None),
        margins=(text[:before], text[before + len(inner) :]),
    )
    return habits, _drawn(message)


def _drawn(message: Mapping[str, Any]) -> Values:
    values = {name: message.get(name) for name in ("id", "model")}
    return {name: value for name, value in values.items() if isinstance(value, str) and value}


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _keys(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _block_keys(blocks: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """The keys of each type of block whose own keys this API orders: of several blocks, those of the one with most."""
    found: dict[str, tuple[str, ...]] = {}
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in ("text", "thinking") or (isinstance(kind, str) and kind.endswith("tool_use")):
            found[kind] = max(found.get(kind, ()), tuple(block), key=len)
    return found


def _without_pad(text: str) -> tuple[str, int]:
    """The text of an event without the spaces before its last brace, and how many there are."""
    inner = text[:-1].rstrip(" ") if text.endswith("}") else text
    return (inner + "}", len(text) - 1 - len(inner)) if text.endswith("}") else (text, 0)


def _spelling(texts: Sequence[tuple[str, dict[str, Any]]]) -> Spelling:
    """The spelling that gives most of these texts. Keys that are sorted are sorted in whatever is sent."""

    def fits(style: Spelling) -> tuple[int, bool]:
        alike = sum(spelled(value, style) == text for text, value in texts)
        return alike, alike > 0 and style.order is not None

    return max(_SPELLINGS, key=fits)
