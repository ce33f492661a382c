"""The `blocks:` of a reply, for choices in which the order of blocks matters. It owns their form in YAML.

They are the blocks of the model, except that a tool call may lack an id and have its arguments as a mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from fakellm.apis.route import HOMES
from fakellm.base.json_text import dumps
from fakellm.base.validation import FieldError, Path, shortened
from fakellm.base.words.near_miss import near_miss
from fakellm.model.blocks import Block, Opaque, Own, Refusal, Text, Thinking, ToolCall, own_value
from fakellm.scenarios import templates


class CallBlock(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type", tag="tool_call"):
    """A tool call. `arguments` is text, or a mapping that is written as compact JSON; by default the id is drawn."""

    name: str
    arguments: str | dict[str, Any] = "{}"
    id: str | None = None
    kind: str = "function"
    own: Own = {}


ReplyBlock = Text | Refusal | Thinking | CallBlock | Opaque


def check_own(own: Own, path: Path = ()) -> None:
    """Raises FieldError if values are for an API that does not exist."""
    for name in own:
        check_api(name, (*path, "own", name))


def check_api(name: str, path: Path) -> None:
    """Raises FieldError if there is no API of this name."""
    if name not in HOMES:
        known = ", ".join(HOMES)
        raise FieldError(path, f"unknown API {shortened(name)}; allowed: {known}{near_miss(name, list(HOMES))}")


def check_block(block: ReplyBlock | ToolCall, path: Path) -> None:
    """Raises FieldError if a block names an API that does not exist, or if the annotations of a text in chat are not an
    array of objects."""
    if isinstance(block, Opaque):
        check_api(block.api, (*path, "api"))
        return
    check_own(block.own, path)
    found = own_value(block.own, "chat", "annotations", ()) if isinstance(block, Text) else ()
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, dict) for each in found):
        raise FieldError((*path, "own", "chat", "annotations"), f"expected an array of objects, got {found!r}")


def core_block(block: ReplyBlock) -> Block:
    """The block of the model."""
    if not isinstance(block, CallBlock):
        return block
    arguments = block.arguments if isinstance(block.arguments, str) else dumps(block.arguments)
    return ToolCall(block.id, block.name, arguments, block.kind, block.own)


def reply_block(block: Block) -> ReplyBlock:
    """The block for a reply."""
    if not isinstance(block, ToolCall):
        return block
    return CallBlock(block.name, block.arguments, block.id or None, block.kind, block.own)


def texts_of(block: ReplyBlock, path: Path) -> Iterator[tuple[Path, str]]:
    """All texts of a block that may have placeholders, with their paths."""
    match block:
        case Text(text) | Refusal(text):
            yield (*path, "text"), text
        case Thinking(parts, summary):
            yield from (((*path, "parts", number), text) for number, text in enumerate(parts))
            yield from (((*path, "summary", number), text) for number, text in enumerate(summary))
        case CallBlock(_, arguments):
            yield from templates.texts_in(arguments, (*path, "arguments"))
