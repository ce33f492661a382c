"""Plays a Score: turns a completion into the batches that it describes. Never raises: what is missing is left out.

The completion may differ from the one that was recorded, as long as it has the same blocks: the last non-empty piece of
each field takes what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Any

from msgspec.structs import replace

from fakellm.model.blocks import Block, Completion, Refusal, Text
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Note, Open, Piece, Silence, Start
from fakellm.model.paths import value_at, without
from fakellm.streaming.score import (
    Closes,
    Counts,
    Cut,
    Ends,
    Finishes,
    Holds,
    Notes,
    Opens,
    Part,
    Row,
    Score,
    Silent,
    Starts,
)
from fakellm.streaming.shares import shares

Address = tuple[int, int]
"""A choice and a block in it."""


def play(completion: Completion, score: Score) -> tuple[Batch, ...]:
    """The batches of `completion`, divided as the score sets."""
    return performed(completion, list(score.rows()))


def performed(completion: Completion, rows: Iterable[Row]) -> tuple[Batch, ...]:
    """The batches of `completion`, one for each row."""
    rows = list(rows)
    pieces = _Pieces(completion, rows)
    return tuple(map(pieces.batch, rows))


def block_at(completion: Completion, choice: int, block: int) -> Block | None:
    """The block, if the completion has it."""
    if not 0 <= choice < len(completion.choices) or not 0 <= block < len(completion.choices[choice].blocks):
        return None
    return completion.choices[choice].blocks[block]


def opening(block: Block, streamed: Iterable[str]) -> Block:
    """The block as it opens if these of its fields are streamed."""
    fields = tuple(streamed)
    if "text" in fields and isinstance(block, (Text, Refusal)) and block.logprobs:
        block = replace(block, logprobs=())
    return without(block, fields)


class _Pieces:
    """The values of the pieces of a completion, and the deltas of a score's parts."""

    def __init__(self, completion: Completion, rows: list[Row]) -> None:
        self.completion = completion
        lengths: dict[tuple[int, int, str], list[Holds]] = {}
        streamed: dict[tuple[int, int, str], None] = {}
        for row in rows:
            for part in row:
                if type(part) is Cut:
                    streamed[part.choice, part.block, part.at] = None
                elif type(part) is Holds:
                    address = (part.choice, part.block, part.at)
                    if address in lengths:
                        lengths[address].append(part)
                    else:
                        lengths[address] = [part]
        self.streamed: dict[Address, list[str]] = {}
        for choice, block, at in streamed:
            self.streamed.setdefault((choice, block), []).append(at)
        self.values: dict[tuple[int, int, str], Iterator[tuple[Any, Any]]] = {}
        for (choice, block, at), parts in lengths.items():
            self.streamed.setdefault((choice, block), []).append(at)
            self.values[choice, block, at] = self._values(block_at(completion, choice, block), at, parts)

    def _values(self, block: Block | None, at: str, parts: list[Holds]) -> Iterator[tuple[Any, Any]]:
        """Each piece with its tokens."""
        value = None if block is None else value_at(block, at)
        pieces = cut_to(value, [part.length for part in parts])  # type: ignore[misc] # rows have no runs
        tokens: Iterable[Any] = ((),) * len(pieces)
        if at == "text" and isinstance(block, (Text, Refusal)) and block.logprobs:
            tokens = _recorded(parts, block.logprobs) if parts[0].tokens is not None else shares(pieces, block.logprobs)
        return zip(pieces, tokens, strict=True)

    def batch(self, row: Row) -> Batch:
        """The batch of a row. Most rows are a further piece of a text."""
        if len(row) == 1 and type(part := row[0]) is Cut:
            return (Piece(part.choice, part.block, part.at, part.value),)
        return tuple(delta for part in row if (delta := self.delta(part)) is not None)

    def delta(self, part: Part) -> Delta | None:
        """The delta of a part; None if the completion has nothing there."""
        match part:
            case Starts():
                return Start(part.choice)
            case Silent():
                return Silence(part.choice, part.block, part.look)
            case Notes():
                return Note(part.choice, part.key, part.value)
            case Ends():
                return End(part.error)
            case Counts():
                usage = part.usage or self.completion.usage
                return Count(usage) if usage else None
            case Finishes():
                choice = self.completion.choices[part.choice] if part.choice < len(self.completion.choices) else None
                stop = part.stop or (choice and choice.finish)
                return Finish(part.choice, stop) if stop else None
        return self._of_block(part)

    def _of_block(self, part: Opens | Holds | Closes) -> Delta | None:
        block = block_at(self.completion, part.choice, part.block)
        if block is None:
            return None
        if isinstance(part, Opens):
            streamed = self.streamed.get((part.choice, part.block), [])
            return Open(part.choice, part.block, part.value or opening(block, (*streamed, *part.less)))
        if isinstance(part, Closes):
            return Close(part.choice, part.block, part.value or (block if part.whole else None))
        if isinstance(part, Cut):
            return Piece(part.choice, part.block, part.at, part.value)
        value, tokens = next(self.values[part.choice, part.block, part.at])
        return Piece(part.choice, part.block, part.at, value, tokens)


def _recorded(parts: list[Holds], tokens: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    place = 0
    for part in parts:
        count = int(str(part.tokens or 0))
        yield tokens[place : place + count]
        place += count


def length_of(value: Any) -> int:
    """The length of a piece: UTF-16 units of a text, so that half a surrogate pair can be one, else items."""
    if not isinstance(value, str):
        return len(value)
    if value.isascii():
        return len(value)
    return len(value) if _narrow(value) else len(value.encode("utf-16-le", "surrogatepass")) // 2


def _narrow(text: str) -> bool:
    """Whether each character is one UTF-16 unit."""
    return text.isascii() or max(text, default="") <= "\uffff"


def cut_to(value: Any, lengths: list[int]) -> list[Any]:
    """The pieces of a text or a list with these lengths; the last that is not empty takes what is left."""
    if not isinstance(value, (str, tuple, list)):  # there is no such field, or it has no length
        value = ""
    wide = isinstance(value, str) and not _narrow(value)
    whole = value.encode("utf-16-le", "surrogatepass") if wide else value
    unit = 2 if wide else 1
    last = max((number for number, length in enumerate(lengths) if length), default=len(lengths) - 1)
    ends = [*accumulate(length * unit for length in lengths[:last]), *[len(whole)] * (len(lengths) - last)]
    pieces = [whole[start:end] for start, end in pairwise([0, *ends])]
    return [piece.decode("utf-16-le", "surrogatepass") for piece in pieces] if wide else pieces
