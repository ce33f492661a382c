"""Infers from batches the Score that plays them again: the inverse of `play`. Stores what cannot be derived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fakellm.model.blocks import Block, Completion, Refusal, Text
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Note, Open, Piece, Silence, Start
from fakellm.model.fold import fold
from fakellm.model.paths import value_at
from fakellm.streaming.play import Address, block_at, length_of, opening
from fakellm.streaming.score import (
    Closes,
    Counts,
    Ends,
    Finishes,
    Holds,
    Notes,
    Opens,
    Part,
    Score,
    Silent,
    Starts,
    scored,
)
from fakellm.streaming.shares import shares


def renumbered(batches: Iterable[Batch]) -> tuple[Batch, ...]:
    """The batches with choices and blocks numbered without gaps, in their order."""
    batches = tuple(batches)
    blocks: dict[int, set[int]] = {}
    for batch in batches:
        for delta in batch:
            if not isinstance(delta, (Count, End)) and delta.choice is not None:
                numbers = blocks.setdefault(delta.choice, set())
                if isinstance(delta, Open):
                    numbers.add(delta.block)
    choices = {choice: number for number, choice in enumerate(sorted(blocks))}
    order = {choice: {block: number for number, block in enumerate(sorted(blocks[choice]))} for choice in blocks}

    def moved(delta: Delta) -> Delta:
        match delta:
            case Open(choice, block, value):
                return Open(choices[choice], order[choice][block], value)
            case Piece(choice, block, at, value, tokens):
                return Piece(choices[choice], order[choice].get(block, block), at, value, tokens)
            case Close(choice, block, value):
                return Close(choices[choice], order[choice].get(block, block), value)
            case Start(choice):
                return Start(choices[choice])
            case Finish(choice, stop):
                return Finish(choices[choice], stop)
            case Note(int(choice), key, value):
                return Note(choices[choice], key, value)
            case Silence(int(choice), block, look):
                return Silence(choices[choice], order[choice].get(-1 if block is None else block, block), look)
        return delta

    return tuple(tuple(map(moved, batch)) for batch in batches)


def observe(batches: Iterable[Batch]) -> Score:
    """The Score of these batches, whose blocks are numbered without gaps.

    ``play(fold(batches)[0], observe(batches)) == batches``, if the fold finds no fault in them.
    """
    batches = tuple(batches)
    completion, _ = fold(batches)
    context = _Context(completion, batches)
    return scored(tuple(context.part(delta) for delta in batch) for batch in batches)


class _Context:
    """What is known about the whole stream while its deltas are read one by one."""

    def __init__(self, completion: Completion, batches: Sequence[Batch]) -> None:
        self.completion = completion
        pieces: dict[tuple[int, int, str], list[Piece]] = {}
        for batch in batches:
            for delta in batch:
                if isinstance(delta, Piece):
                    pieces.setdefault((delta.choice, delta.block, delta.at), []).append(delta)
        self.streamed: dict[Address, list[str]] = {}
        self.own_tokens: set[Address] = set()
        for (choice, block, at), found in pieces.items():
            self.streamed.setdefault((choice, block), []).append(at)
            value = block_at(completion, choice, block)
            if at == "text" and isinstance(value, (Text, Refusal)) and value.logprobs:
                usual = list(shares([piece.value for piece in found], value.logprobs))
                if usual != [piece.tokens for piece in found]:
                    self.own_tokens.add((choice, block))

    def part(self, delta: Delta) -> Part:
        match delta:
            case Start(choice):
                return Starts(choice)
            case Silence(choice, block, look):
                return Silent(choice, block, look)
            case Note(choice, key, value):
                return Notes(choice, key, value)
            case End(error):
                return Ends(error)
            case Count(usage):
                return Counts(None if usage == self.completion.usage else usage)
            case Finish(choice, stop):
                return Finishes(choice, None if stop == self.completion.choices[choice].finish else stop)
            case Piece(choice, block, at, value, tokens):
                counted = at == "text" and (choice, block) in self.own_tokens
                return Holds(choice, block, at, length_of(value), len(tokens) if counted else None)
            case Open(choice, block, value):
                return self._opens(choice, block, value)
        final = block_at(self.completion, delta.choice, delta.block)
        whole = delta.value is not None and delta.value == final
        return Closes(delta.choice, delta.block, whole, None if whole else delta.value)

    def _opens(self, choice: int, number: int, value: Block) -> Opens:
        final = block_at(self.completion, choice, number)
        if final is None or type(final) is not type(value):
            return Opens(choice, number, value=value)
        streamed = self.streamed.get((choice, number), [])
        usual = opening(final, streamed)
        if usual == value:
            return Opens(choice, number)
        less = tuple(name for name in value.__struct_fields__ if value_at(usual, name) and not value_at(value, name))
        if opening(final, (*streamed, *less)) == value:
            return Opens(choice, number, less)
        return Opens(choice, number, value=value)
