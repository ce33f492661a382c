"""The shape of a stream: its batches without what differs from reply to reply. Streams of one shape are written once.

In a shape, the texts of pieces, the ids of calls and the token counts are holes, and of many pieces of one text there
are only the first, one in the middle and the last. Knows no API and no JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.template import Hole, HoleText
from fakellm.model.blocks import Completion, Refusal, Text, Thinking, ToolCall, Usage
from fakellm.model.deltas import Batch, Count, Delta, Finish, Open, Piece, Start

Address = tuple[int, int]
"""A choice and a block in it."""

_PIECE = Hole("piece", lambda fill: fill.piece, "event", lambda fill, numbers, pieces: pieces)
PIECE, BLANK = HoleText(_PIECE), HoleText(_PIECE, " ")
"""What stands for a piece, and for a piece of white space, because some providers treat that differently."""
COUNTED = Usage()
"""What stands for token counts."""


class Stretch(Struct, frozen=True):
    """Consecutive batches of a stream that are alike.

    batch: the number of the one that stands for them in the shape.
    pieces: the text of each; an empty one if the shape has no hole for it.
    usage: the token counts in the batch, if it has any.
    """

    batch: int
    pieces: tuple[str, ...] = ("",)
    usage: Usage | None = None


class Shape(Struct, frozen=True):
    """The batches of a shape, and the stretches of one stream that they stand for."""

    batches: tuple[Batch, ...]
    stretches: tuple[Stretch, ...]


Likeness = Literal["all", "blanks", "none"]
"""Which further pieces of a text are alike: all; those that are white space, and those that are not; or none."""


def shaped(batches: Sequence[Batch], ids: Mapping[Address, str], alike: Likeness = "all") -> Shape:
    """The shape of a stream. `ids`: those of the calls. `alike`: which pieces one can stand for; if none,
    every batch stands for itself alone."""
    if alike == "none":
        alone = tuple(Stretch(number, usage=_usage(batch)) for number, batch in enumerate(batches))
        return Shape(tuple(_without_values(batch, ids) for batch in batches), alone)
    found: list[Batch] = []
    stretches: list[Stretch] = []
    for run in _runs(batches, alike == "blanks"):
        batch, text = _with_hole(run[0], alike == "blanks")
        if len(run) == 1:
            stretches.append(Stretch(len(found), (text,), _usage(batch)))
            found.append(_without_values(batch, ids))
            continue
        for part in (run[:1], run[1:-1], run[-1:]) if len(run) > 2 else (run[:1], run[1:]):
            stretches += _stretches(len(found), part)
            found.append(_without_values(batch, ids))
    return Shape(tuple(found), tuple(stretches))


def _stretches(number: int, run: Sequence[Batch]) -> list[Stretch]:
    """The stretches of batches that the one with this number stands for: each alone if it has token counts."""
    texts = tuple(_piece(batch).value for batch in run)
    if len(run[0]) == 1:
        return [Stretch(number, texts)]
    return [Stretch(number, (text,), _usage(batch)) for text, batch in zip(texts, run, strict=True)]


def _runs(batches: Sequence[Batch], blanks: bool) -> Iterator[list[Batch]]:
    """The batches that hold nothing but a piece of the same text, and perhaps token counts, together; every other batch
    alone. `blanks`: whether pieces of white space are not together with others."""
    run: list[Batch] = []
    key: tuple[int, int, str, int, bool] | None = None
    for batch in batches:
        alone = len(batch) == 1 or (len(batch) == 2 and type(batch[1]) is Count)
        this, piece = None, batch[0] if alone else None
        if type(piece) is Piece and _is_hole(piece):
            this = (piece.choice, piece.block, piece.at, len(batch), blanks and piece.value.isspace())
            if this == key:
                run.append(batch)
                continue
        if run:
            yield run
        run, key = [batch], this
    if run:
        yield run


def _is_hole(piece: Piece) -> bool:
    return isinstance(piece.value, str) and piece.value != "" and not piece.tokens


def _piece(batch: Batch) -> Piece:
    piece = batch[0]
    assert isinstance(piece, Piece)
    return piece


def _with_hole(batch: Batch, blanks: bool) -> tuple[Batch, str]:
    """The batch with a hole for its piece, if that is its only text; and the piece."""
    pieces = [delta for delta in batch if isinstance(delta, Piece)]
    if len(pieces) != 1 or not _is_hole(pieces[0]):
        return batch, ""
    if not all(delta is pieces[0] or _has_no_text(delta) for delta in batch):
        return batch, ""
    hole = replace(pieces[0], value=BLANK if blanks and pieces[0].value.isspace() else PIECE)
    return tuple(hole if delta is pieces[0] else delta for delta in batch), pieces[0].value


def _has_no_text(delta: Delta) -> bool:
    match delta:
        case Start() | Finish() | Count():
            return True
        case Open(_, _, Text(text) | Refusal(text)):
            return not text
        case Open(_, _, Thinking(parts)):
            return not parts
        case Open(_, _, ToolCall(arguments=arguments)):
            return not arguments
    return False


def _without_values(batch: Batch, ids: Mapping[Address, str]) -> Batch:
    """The batch with holes for the ids of calls and for token counts."""
    return tuple(_without_value(delta, ids) for delta in batch)


def _without_value(delta: Delta, ids: Mapping[Address, str]) -> Delta:
    if isinstance(delta, Count):
        return Count(COUNTED)
    if isinstance(delta, Piece) and delta.at == "id" and ids.get((delta.choice, delta.block)) == delta.value:
        return replace(delta, value=call_id((delta.choice, delta.block)))
    if isinstance(delta, Open) and isinstance(delta.value, ToolCall):
        address = (delta.choice, delta.block)
        if delta.value.id and ids.get(address) == delta.value.id:
            return replace(delta, value=replace(delta.value, id=call_id(address)))
    return delta


def call_id(address: Address) -> HoleText:
    """What stands for the id of the call there."""
    return HoleText(Hole(f"call {address}", lambda fill: fill.call_ids[address]))


def _usage(batch: Batch) -> Usage | None:
    """The token counts in a batch; the last ones count."""
    return next((delta.usage for delta in reversed(batch) if isinstance(delta, Count)), None)


def call_ids(completion: Completion) -> dict[Address, str]:
    """The ids of the calls, by choice and block."""
    return {
        (choice, number): block.id
        for choice, each in enumerate(completion.choices)
        for number, block in enumerate(each.blocks)
        if isinstance(block, ToolCall) and block.id
    }
