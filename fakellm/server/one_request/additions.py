"""What each batch of a reply adds to the answer, in terms that all APIs share. Owns these terms.

The texts of all additions together are those of the reply. Knows no API by name and no bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from fakellm.model.blocks import Block, Refusal, Text, Thinking, ToolCall
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Note, Open, Piece, Silence, Start


class Addition(Struct, frozen=True, omit_defaults=True):
    """What a part of a reply adds.

    type: `start` of a choice; a piece of its `text`, `reasoning`, `summary` of the reasoning, `refusal` or `signature`;
        a `call` with its `id` and `name`, and pieces of its `arguments`; `finish` with its `reason`; `usage` with its
        counts; `error`; `end`; `padding`; or something `other` that only one API has, under a `name`.
    choice: the number of the choice, from 0. call: the number of the call within it, from 0.
    """

    type: str
    choice: int | None = None
    text: str | None = None
    call: int | None = None
    id: str | None = None
    name: str | None = None
    reason: str | None = None
    input: int | None = None
    output: int | None = None
    error: Any = None


class Additions:
    """The additions of one reply, batch by batch."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, int], _Added] = {}
        self._calls: dict[int, int] = {}
        """How many calls each choice has."""

    def of(self, batch: Batch) -> list[Addition]:
        """What the next batch adds."""
        return [addition for delta in batch for addition in self._of(delta)]

    def _of(self, delta: Delta) -> Iterator[Addition]:
        match delta:
            case Start(choice):
                yield Addition("start", choice)
            case Open(choice, number, value):
                yield from self._opened(choice, number, value)
            case Piece(choice, number, at, value):
                added = self._blocks.get((choice, number))
                yield added.piece(at, value) if added else Addition("other", choice, name=at)
            case Close(choice, number, value):
                added = self._blocks.get((choice, number))
                yield from added.rest(value) if added and value is not None else ()
            case Note(choice, key):
                yield Addition("other", choice, name=key)
            case Finish(choice, stop):
                yield Addition("finish", choice, reason=stop.reason)
            case Count(usage):
                yield Addition("usage", input=usage.input, output=usage.output)
            case End(error):
                yield Addition("end") if error is None else Addition("error", error=error)
            case Silence(choice):
                yield Addition("padding", choice)

    def _opened(self, choice: int, number: int, value: Block) -> Iterator[Addition]:
        call = None
        if isinstance(value, ToolCall):
            call = self._calls.get(choice, 0)
            self._calls[choice] = call + 1
            yield Addition("call", choice, call=call, id=value.id, name=value.name)
        added = self._blocks[choice, number] = _Added(choice, value, call)
        yield from added.rest(value)


class _Added:
    """What has been added to a block."""

    def __init__(self, choice: int, value: Block, call: int | None) -> None:
        self._choice = choice
        self._text = "refusal" if isinstance(value, Refusal) else "text"
        self._call = call
        self._types: set[str] = set()
        """Those of the pieces so far."""

    def piece(self, at: str, value: Any) -> Addition:
        """The addition of a piece."""
        name = _TYPES.get(at.partition(".")[0])
        if name is None or not isinstance(value, str):
            return Addition("other", self._choice, name=at)
        return self._added(self._text if name == "text" else name, value)

    def rest(self, value: Block) -> Iterator[Addition]:
        """The texts of the block as it is now, of which no piece has been added."""
        before = set(self._types)
        yield from (self._added(name, text) for name, text in self._texts(value) if text and name not in before)
        if not isinstance(value, (Text, Refusal, Thinking, ToolCall)) and not before:
            self._types.add("other")
            yield Addition("other", self._choice, name=str(value.value.get("type", value.api)))

    def _texts(self, value: Block) -> Iterator[tuple[str, str]]:
        match value:
            case Text(text) | Refusal(text):
                yield self._text, text
            case Thinking(parts, summary, signature):
                yield from (("reasoning", part) for part in parts)
                yield from (("summary", part) for part in summary)
                yield "signature", signature
            case ToolCall(arguments=arguments):
                yield "arguments", arguments

    def _added(self, name: str, text: str) -> Addition:
        self._types.add(name)
        return Addition(name, self._choice, text, self._call)


_TYPES = {
    "text": "text",
    "parts": "reasoning",
    "summary": "summary",
    "signature": "signature",
    "arguments": "arguments",
}
"""The type of a piece, by the field of its block."""
