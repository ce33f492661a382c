"""Reads output items: from the JSON of an item to the blocks that it stands for. Never raises for an object.

An item that no block stands for is opaque, and kept unchanged; so is one of a known type in an unknown shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fakellm.apis.responses.names import NAME
from fakellm.base.json_text import JSON
from fakellm.model.blocks import Block, Opaque, Own, Refusal, Text, Thinking, Token, ToolCall, with_own

KNOWN = {
    "message": {"type", "id", "status", "role", "content"},
    "reasoning": {"type", "id", "status", "content", "summary", "encrypted_content"},
    "function_call": {"type", "id", "status", "call_id", "name", "arguments"},
    "custom_tool_call": {"type", "id", "status", "call_id", "name", "input"},
}
"""The keys that blocks stand for, by the type of the item; further ones are the item's own."""


def blocks_of(item: JSON) -> tuple[Block, ...]:
    """The blocks of an item: several for a message with several parts."""
    match item.get("type"):
        case "message" if _are_parts(item.get("content")):
            parts = item["content"]
            return tuple(part_of(part, own_of(item) if number == 0 else {}) for number, part in enumerate(parts))
        case "reasoning" if _are_texts(item.get("summary")) and _are_texts(item.get("content")):
            return (_thinking(item),)
        case "function_call" | "custom_tool_call" if _is_call(item):
            return (call_of(item),)
    return (Opaque(NAME, item),)


def opening_of(item: JSON) -> Block:
    """The block that an item which is not a message opens with."""
    return blocks_of(item)[0] if item.get("type") != "message" else Opaque(NAME, item)


def own_of(item: JSON) -> Own:
    """What is an item's own: the keys that its block has no field for."""
    known = KNOWN.get(item.get("type", ""), set())
    return with_own({}, NAME, {key: value for key, value in item.items() if key not in known})


def part_of(part: JSON, own: Own | None = None, item: str = "") -> Text | Refusal:
    """The block of a part of a message. `own`: what is the item's own."""
    own = own or {}
    if part.get("type") == "refusal":
        return Refusal(str(part.get("refusal") or ""), (), item, own)
    cited = part.get("annotations")
    if isinstance(cited, list) and cited:
        own = with_own(own, NAME, {**own.get(NAME, {}), "annotations": cited})
    return Text(str(part.get("text") or ""), tokens_of(part.get("logprobs")), item, own)


def tokens_of(value: Any) -> tuple[Token, ...]:
    """The tokens of `logprobs`."""
    found = value if isinstance(value, list) else ()
    return tuple(_token(each) for each in found if isinstance(each, dict))


def _token(value: Mapping[str, Any]) -> Token:
    text = str(value.get("token", ""))
    sent = value.get("bytes")
    usual = sent is None or sent == list(text.encode("utf-8", "surrogatepass"))
    top = tuple(_token(each) for each in value.get("top_logprobs") or () if isinstance(each, dict))
    logprob = value.get("logprob")
    number = float(logprob) if isinstance(logprob, (int, float)) else 0.0
    return Token(text, number, top, () if usual or not isinstance(sent, list) else tuple(sent))


def call_of(item: JSON) -> ToolCall:
    """The call of an item."""
    custom = item["type"] == "custom_tool_call"
    text = item.get("input" if custom else "arguments") or ""
    return ToolCall(item.get("call_id"), item["name"], text, "custom" if custom else "function", own_of(item))


def _thinking(item: JSON) -> Thinking:
    def texts(name: str) -> tuple[str, ...]:
        return tuple(filter(None, (part["text"] for part in item.get(name) or ())))

    signature = item.get("encrypted_content")
    return Thinking(texts("content"), texts("summary"), signature if isinstance(signature, str) else "", own_of(item))


def _are_parts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and each.get("type") in ("output_text", "refusal") for each in value)
    )


def _are_texts(value: Any) -> bool:
    """Whether a list has only texts; an absent one has none."""
    return value is None or (
        isinstance(value, list) and all(isinstance(each, dict) and isinstance(each.get("text"), str) for each in value)
    )


def _is_call(item: JSON) -> bool:
    call_id = item.get("call_id")
    text = item.get("input" if item["type"] == "custom_tool_call" else "arguments")
    return (
        isinstance(item.get("name"), str)
        and (call_id is None or isinstance(call_id, str))
        and (text is None or isinstance(text, str))
    )
