"""Faults in the batches of a stream: one is missing, sent twice, or out of order. None of them applies to a body.

A batch is the deltas that leave together: one chunk in chat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from fakellm.base.seed import Source
from fakellm.faults.base import Base, Place, index
from fakellm.model.blocks import ToolCall
from fakellm.model.deltas import Batch, Count, Delta, End, Finish, Open, Piece, Silence, Start


class BatchFault(Base, frozen=True):
    """A fault at this level. It changes the batches, or the order in which they are sent after they are written, so
    that a batch that is sent twice has the same bytes."""

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"

    def changed(self, batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
        """The batches with the fault in them."""
        return batches

    def order(self, batches: Sequence[Batch], source: Source) -> Sequence[int]:
        """The numbers of the batches as they are sent; the end of the stream is not among them."""
        return range(len(batches))


class NoFinish(BatchFault, frozen=True, tag="no_finish"):
    """All content, and then the end of the stream: no finish reason, no usage, no `[DONE]` (E1, E3)."""

    def changed(self, batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
        kept = (tuple(delta for delta in batch if not isinstance(delta, (Finish, Count, End))) for batch in batches)
        return tuple(batch for batch in kept if any(_mentions_choice(delta) for delta in batch))


class Repeat(BatchFault, frozen=True, tag="repeat"):
    """A batch that is sent twice. `chunk`: which one, from 0; by default one that carries text or a tool call."""

    chunk: Place = None

    def order(self, batches: Sequence[Batch], source: Source) -> Sequence[int]:
        likely = [number for number, batch in enumerate(batches) if carries(batch)]
        number = index(self.chunk, len(batches), source, likely)
        return [*range(number + 1), *range(number, len(batches))]


class Swap(BatchFault, frozen=True, tag="swap"):
    """Two consecutive batches in the wrong order. `chunk`: the first of them, from 0; by default, both carry text or a
    tool call.
    """

    chunk: Place = None

    def order(self, batches: Sequence[Batch], source: Source) -> Sequence[int]:
        pairs = [n for n in range(len(batches) - 1) if carries(batches[n]) and carries(batches[n + 1])]
        number = index(self.chunk, len(batches) - 1, source, pairs)
        numbers = list(range(len(batches)))
        return [*numbers[:number], *reversed(numbers[number : number + 2]), *numbers[number + 2 :]]


def carries(batch: Batch) -> bool:
    """Whether a batch carries any text or a tool call."""
    calls = {delta.block for delta in batch if isinstance(delta, Open) and isinstance(delta.value, ToolCall)}
    pieces = [delta for delta in batch if isinstance(delta, Piece) and not delta.at.startswith("own")]
    return bool(calls) or any(piece.value or piece.at in ("arguments", "name") for piece in pieces)


def _mentions_choice(delta: Delta) -> bool:
    if isinstance(delta, Silence) and isinstance(delta.look, dict) and "chunk" in delta.look:
        return False
    return isinstance(delta, (Start, Open, Piece, Silence)) and delta.choice is not None
