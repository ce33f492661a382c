"""Chunks to batches: the inverse of `assemble`. Owns which tool call a piece belongs to.

It is lenient, as clients have to be: each rule here is one that some client has got wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, ToolCallDelta, text_or_empty
from fakellm.apis.chat.meaning import ANNOTATIONS, NAME
from fakellm.model.blocks import Block, Opaque, Refusal, Stop, Text, Thinking, Token, ToolCall, Usage, with_own
from fakellm.model.deltas import Batch, Count, Delta, Finish, Open, Piece, Silence, Start

_THINKING, _TEXT, _REFUSAL = -(2**40), -2, -1
"""The numbers of a choice's first blocks. Fragments are between the reasoning and the text, or after the texts; the
number of a call grows with its index."""
_CALLS = 2**81
_INDICES = 2**40
"""How many block numbers each index has, for calls that share an index, and the largest index."""


def read_batches(chunks: Iterable[Chunk]) -> Iterator[Batch]:
    """One batch for each chunk. The numbers of the blocks order them, with gaps."""
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        batch: list[Delta] = []
        for part in chunk.choices:
            batch += choices.setdefault(part.index, _Choice(part.index)).deltas(part)
        if isinstance(chunk.usage, Usage):
            batch.append(Count(chunk.usage))
        yield tuple(batch)


class _Call:
    """A tool call, as read so far."""

    def __init__(self, index: int | None, block: int, piece: ToolCallDelta) -> None:
        self.index = index
        self.block = block
        self.id = text_or_empty(piece.id)
        self.name = text_or_empty(piece.name)


class _Choice:
    """A choice, as read so far."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.started = False
        self.open: set[int] = set()
        self.fragments = 0
        self.calls: list[_Call] = []

    def deltas(self, part: ChunkChoice) -> Iterator[Delta]:
        """What a chunk adds to the choice."""
        found = [*self._texts(part), *self._fragment(part)]
        for piece in part.delta.tool_calls if isinstance(part.delta.tool_calls, tuple) else ():
            found += self._call(piece)
        if text_or_empty(part.finish_reason):
            found.append(Finish(self.index, Stop(text_or_empty(part.finish_reason))))
        if not self.started:
            self.started = True
            yield Start(self.index)
        elif not found:
            yield Silence(self.index)
        yield from found

    def _texts(self, part: ChunkChoice) -> Iterator[Delta]:
        delta = part.delta
        yield from self._text(_THINKING, Thinking(), "parts.0", text_or_empty(delta.reasoning), ())
        yield from self._text(_TEXT, Text(), "text", text_or_empty(delta.content), part.logprobs or ())
        if delta.annotations:
            yield from self._opened(_TEXT, Text())
            yield Piece(self.index, _TEXT, ANNOTATIONS, list(delta.annotations))
        yield from self._text(_REFUSAL, Refusal(), "text", text_or_empty(delta.refusal), part.refusal_logprobs or ())

    def _fragment(self, part: ChunkChoice) -> Iterator[Delta]:
        if part.delta.fragments:
            self.fragments += 1
            place = 0 if self.open & {_TEXT, _REFUSAL} else _THINKING
            yield Open(self.index, place + self.fragments, Opaque(NAME, part.delta.fragments))

    def _text(self, block: int, value: Block, at: str, text: str, tokens: tuple[Token, ...]) -> Iterator[Delta]:
        if text or tokens:
            yield from self._opened(block, value)
            yield Piece(self.index, block, at, text, tokens)

    def _opened(self, block: int, value: Block) -> Iterator[Delta]:
        if block not in self.open:
            self.open.add(block)
            yield Open(self.index, block, value)

    def _call(self, piece: ToolCallDelta) -> Iterator[Delta]:
        call = self._known(piece)
        arguments = text_or_empty(piece.arguments)
        if call is None:
            index = piece.index if isinstance(piece.index, int) else None
            place = max(-_INDICES, min(index or 0, _INDICES)) * _INDICES + len(self.calls)
            call = _Call(index, _CALLS + place, piece)
            self.calls.append(call)
            yield Open(
                self.index, call.block, ToolCall(call.id, call.name, "", piece.kind, with_own({}, NAME, piece.own))
            )
        # Some providers repeat it on each piece and others change it: the first that is not empty counts.
        if not call.id and text_or_empty(piece.id):
            call.id = text_or_empty(piece.id)
            yield Piece(self.index, call.block, "id", call.id)
        if not call.name and text_or_empty(piece.name):
            call.name = text_or_empty(piece.name)
            yield Piece(self.index, call.block, "name", call.name)
        if arguments:
            yield Piece(self.index, call.block, "arguments", arguments)

    def _known(self, piece: ToolCallDelta) -> _Call | None:
        """The call that a piece belongs to: the one at its index, or, if it has no index, the one with its id."""
        index = piece.index if isinstance(piece.index, int) else None
        if index is not None:
            same = [call for call in self.calls if call.index == index]
        else:
            same = [call for call in self.calls if _has_id_of(piece, call)]
        return None if not same or _opens_another(piece, same[-1]) else same[-1]


def _has_id_of(piece: ToolCallDelta, call: _Call) -> bool:
    """Whether a piece without an index is of a call: with the same id, with none, or with one that the call lacks."""
    return not piece.id or call.id == piece.id or not (call.id or piece.name)


def _opens_another(piece: ToolCallDelta, call: _Call) -> bool:
    """Whether a piece at the place of a call opens another one, by its id and its name (Ollama numbers every call 0).
    With the same name, it may have the id of a call that opened without it."""
    named = bool(piece.name and piece.id and call.name)
    return named and piece.id != call.id and (bool(call.id) or piece.name != call.name)
