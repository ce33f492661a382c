"""What the Responses API can express: its grammar, and the part of any completion that it can send.

A response has one choice. Its blocks become output items in order: consecutive texts with the same `item` are the
parts of one message, and every other block is an item of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.responses.habits import Habits
from fakellm.apis.responses.items.read_items import KNOWN, blocks_of
from fakellm.apis.responses.items.server_items import fields_of_item
from fakellm.apis.responses.names import ANNOTATIONS, NAME
from fakellm.model.blocks import (
    Block,
    Choice,
    Completion,
    Opaque,
    Refusal,
    Stop,
    Text,
    Thinking,
    ToolCall,
    own_value,
    with_own,
)
from fakellm.streaming.grammar import Field, Grammar, Joins

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response is incomplete, by the neutral word for it."""
CALLS = ("function", "custom")
"""The kinds of calls that are items."""


def grammar(habits: Habits) -> Grammar:
    """What streams with these habits can look like."""
    return Grammar(
        lambda block: tuple(_fields(block, habits)),
        choices=1,
        silent_first=False,
        closes="whole",
        joins=Joins(usage="must", end="must"),
    )


def _fields(block: Block, habits: Habits) -> Iterator[Field]:
    match block:
        case Text():
            yield Field("text", "none" if "content" in habits.whole else "any")
            yield Field(ANNOTATIONS, "whole")
        case Refusal():
            yield Field("text", "none" if "refusal" in habits.whole else "any")
        case ToolCall():
            yield Field("arguments", "none" if "arguments" in habits.whole else "any")
        case Thinking(parts, summary):
            cut: Any = "none" if "reasoning" in habits.whole else "any"
            yield from (Field(f"parts.{number}", cut) for number in range(len(parts)))
            yield from (Field(f"summary.{number}", cut) for number in range(len(summary)))
        case Opaque(_, value):
            yield from fields_of_item(value)


def expressible(completion: Completion, habits: Habits) -> Completion:
    """The part of a completion that a response can express; idempotent."""
    choice = completion.choices[0] if completion.choices else Choice()
    blocks = tuple(_grouped(block for each in choice.blocks for block in _expressible(each, habits)))
    usage = completion.usage and replace(completion.usage, own={})
    return Completion((Choice(blocks, Stop(finish_word(choice.finish, blocks))),), usage)


def finish_word(stop: Stop | None, blocks: Sequence[Block]) -> str:
    """Why a choice finished, as a reader of the response finds out."""
    if stop and stop.reason in INCOMPLETE:
        return stop.reason
    return "tool_calls" if any(isinstance(block, ToolCall) for block in blocks) else "stop"


def _expressible(block: Block, habits: Habits) -> Iterator[Block]:
    match block:
        case Opaque(api, value):
            if api == NAME and isinstance(value.get("type"), str):
                label = str(value.get("id") or "message")
                for each in blocks_of(value):
                    each = replace(each, item=label) if isinstance(each, (Text, Refusal)) else each
                    yield each if isinstance(each, Opaque) else next(_expressible(each, habits), each)
        case Thinking(parts, summary, signature, own):
            parts, summary = tuple(filter(None, parts)), tuple(filter(None, summary))
            if habits.reasoning == "summary":
                parts, summary = (), summary or parts
            yield Thinking(parts, summary, signature, _own(own))
        case ToolCall(id_, name, arguments, kind, own):
            if kind in CALLS:
                yield ToolCall(id_ or None, name, arguments, kind, _own(own))
        case Text(text, logprobs, item, own):
            phase = {"phase": habits.dialect.phase} if habits.dialect.phase else {}
            own = with_own({}, NAME, phase | _own(own).get(NAME, {}))
            yield Text(text, logprobs, item, own)
        case Refusal(text, _, item, own):
            yield Refusal(text, (), item, _own(own))


_OF_BLOCKS = frozenset[str]().union(*KNOWN.values())


def _own(own: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is this API's own and in no field of a block; annotations are a list, and an empty one is none."""
    values = {key: value for key, value in own.get(NAME, {}).items() if key not in _OF_BLOCKS}
    cited = values.pop("annotations", None)
    if isinstance(cited, (list, tuple)) and cited:
        values["annotations"] = list(cited)
    return with_own({}, NAME, values)


class ItemPlace(Struct, frozen=True):
    """Where a block is in the output: the number of its item, of its part of a message, and whether it is the message's
    first part, or its last."""

    item: int
    part: int = 0
    first: bool = True
    last: bool = True


def places(blocks: Sequence[Block]) -> list[ItemPlace]:
    """The place of each block."""
    found: list[ItemPlace] = []
    for number, block in enumerate(blocks):
        if number and _joins(blocks[number - 1], block):
            before = found[-1]
            found[-1] = replace(before, last=False)
            found.append(ItemPlace(before.item, before.part + 1, first=False))
        else:
            found.append(ItemPlace(found[-1].item + 1 if found else 0))
    return found


def _joins(before: Block, block: Block) -> bool:
    """Whether two consecutive blocks are parts of one message."""
    texts = isinstance(before, (Text, Refusal)) and isinstance(block, (Text, Refusal))
    return texts and before.item != "" and before.item == block.item  # type: ignore[union-attr] # both are texts


def _grouped(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks; those that share a message have the number of its item as `item`, and what is the item's own only in
    its first part."""
    found = list(blocks)
    for block, place in zip(found, places(found), strict=True):
        if not isinstance(block, (Text, Refusal)):
            yield block
            continue
        if not place.first:
            cited = own_value(block.own, NAME, "annotations")
            block = replace(block, own=with_own({}, NAME, {"annotations": cited} if cited else {}))
        yield replace(block, item="" if place.first and place.last else str(place.item))
