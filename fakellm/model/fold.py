"""Folds batches of deltas into the completion that they mean: the inverse of every division. Knows no API.

It never raises: a stream that breaks the rules folds to what came before, with the error as its end. The rules are also
the reference for clients; each of them is one that some client has got wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from fakellm.model.blocks import Block, Choice, Completion, Refusal, Stop, Text, Token, Usage
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Note, Open, Piece, Silence, Start
from fakellm.model.paths import value_at, with_value


def fold(batches: Iterable[Batch]) -> tuple[Completion, End | None]:
    """The completion, and how the stream ended: `End()`, `End(error)`, or None if it was cut.

    An error is also: a piece or a close of a block that is not open, a block opened twice, a piece that does not fit
    its field, a close that contradicts the pieces, a second end, and anything but padding and counts after the end.
    """
    state = _Reply()
    for batch in batches:
        for delta in batch:
            problem = state.add(delta)
            if problem:
                return state.value(), End(problem)
    return state.value(), state.end


def joined(pieces: Iterable[str]) -> str:
    """The text of the pieces. The two halves of a surrogate pair that was cut become one character again."""
    text = "".join(pieces)
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class _Open:
    """A block, as read so far. Pieces are kept in lists: 100,000 of them join in linear time."""

    def __init__(self, value: Block) -> None:
        self.block = value
        self.pieces: dict[str, list[Any]] = {}
        self.tokens: list[Token] = []
        self.closed = False

    def add(self, piece: Piece) -> str | None:
        if piece.at not in self.pieces:
            present = value_at(self.block, piece.at)
            if not _fits(present, piece.value):
                return f"a piece does not fit the field {piece.at!r}"
            try:  # an empty value marks the place of the field: `parts.1` needs `parts.0`
                self.block = with_value(self.block, piece.at, type(piece.value)() if present is None else present)
            except ValueError as error:
                return str(error)
            self.pieces[piece.at] = [present] if present else []
        elif not _fits(self.pieces[piece.at][-1], piece.value):
            return f"a piece does not fit the field {piece.at!r}"
        if piece.tokens and not isinstance(self.block, (Text, Refusal)):
            return "log probabilities of a block that has none"
        self.pieces[piece.at].append(piece.value)
        self.tokens += piece.tokens
        return None

    def value(self) -> Block:
        block = self.block
        for at, pieces in self.pieces.items():
            if isinstance(pieces[0], str):
                block = with_value(block, at, joined(pieces))
            else:
                present = value_at(block, at)
                items = [item for piece in pieces for item in piece]
                block = with_value(block, at, tuple(items) if isinstance(present, tuple) else items)
        if self.tokens and isinstance(block, (Text, Refusal)):
            block = replace(block, logprobs=(*block.logprobs, *self.tokens))
        return block

    def close(self, value: Block | None) -> str | None:
        self.closed = True
        if value is None:
            return None
        before = self.value()
        self.block, self.pieces, self.tokens = value, {}, []
        for name in ("text", "arguments"):
            old, new = getattr(before, name, ""), getattr(value, name, "")
            if old and old != new:
                return f"the {name} of a closed block differ from its pieces"
        return None


def _fits(present: Any, piece: Any) -> bool:
    """Whether a piece continues what is there: a text a text, a list a list."""
    if isinstance(piece, str):
        return present is None or isinstance(present, str)
    return isinstance(piece, (list, tuple)) and (present is None or isinstance(present, (list, tuple)))


class _Choice:
    """A choice, as read so far."""

    def __init__(self) -> None:
        self.blocks: dict[int, _Open] = {}
        self.finish: Stop | None = None
        self.notes: dict[str, Any] = {}

    def value(self) -> Choice:
        blocks = tuple(self.blocks[number].value() for number in sorted(self.blocks))
        return Choice(blocks, self.finish, self.notes)


class _Reply:
    """The reply, as read so far."""

    def __init__(self) -> None:
        self.choices: dict[int, _Choice] = {}
        self.usage: Usage | None = None
        self.notes: dict[str, Any] = {}
        self.end: End | None = None

    def value(self) -> Completion:
        choices = tuple(self.choices[index].value() for index in sorted(self.choices))
        return Completion(choices, self.usage, self.notes)

    def add(self, delta: Delta) -> str | None:
        """Adds a delta; returns what is wrong with it, if anything."""
        if isinstance(delta, Silence):
            return None
        if isinstance(delta, Count):
            self.usage = delta.usage
            return None
        if self.end is not None:
            return f"{type(delta).__name__.lower()} after the end"
        if isinstance(delta, End):
            self.end = delta
            return None
        if isinstance(delta, Note) and delta.choice is None:
            self.notes[delta.key] = delta.value
            return None
        assert delta.choice is not None
        choice = self.choices.setdefault(delta.choice, _Choice())
        match delta:
            case Open():
                if delta.block in choice.blocks:
                    return f"block {delta.block} is opened twice"
                choice.blocks[delta.block] = _Open(delta.value)
            case Piece() | Close():
                block = choice.blocks.get(delta.block)
                if block is None or block.closed:
                    return f"{type(delta).__name__.lower()} of block {delta.block}, which is not open"
                return block.add(delta) if isinstance(delta, Piece) else block.close(delta.value)
            case Finish():
                choice.finish = delta.stop
            case Note():
                choice.notes[delta.key] = delta.value
            case Start():
                pass
        return None
