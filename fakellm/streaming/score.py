"""What each batch of a stream holds, by block, field and length, without the texts themselves. Owns Score.

A Division is chosen, a Score is read from a recording. It is plain data that goes to YAML and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from fakellm.base.validation import FieldError
from fakellm.model.blocks import Block, Stop, Usage

MOST_BATCHES = 1_000_000
"""Batches of a stream: a run of one line can stand for any number of them."""

Number = Annotated[int, Meta(ge=0, le=10**9)]


class _Part(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="part"):
    """What all parts share: the key `part` in YAML."""


class Starts(_Part, frozen=True, tag="start"):
    """The start of a choice."""

    choice: Number = 0


class Opens(_Part, frozen=True, tag="open"):
    """The opening of a block: it holds the fields that no piece carries, except those that it is `less`.

    `value`: what it opens with, if that cannot be derived.
    """

    choice: Number = 0
    block: Number = 0
    less: tuple[str, ...] = ()
    value: Block | None = None


class Holds(_Part, frozen=True, tag="piece"):
    """A piece of a field, `length` UTF-16 units or list items long; in a run, one length for each batch.

    `tokens`: how many log probabilities it has, if that cannot be derived.
    """

    choice: Number = 0
    block: Number = 0
    at: str = "text"
    length: Number | tuple[Number, ...] = 0
    tokens: Number | tuple[Number, ...] | None = None


class Cut(Holds, frozen=True):
    """A piece whose value is known already; in a Score, only its length is kept."""

    value: Any = ""


class Notes(_Part, frozen=True, tag="note"):
    """A note, unchanged."""

    choice: Number | None = None
    key: str = ""
    value: Any = None


class Closes(_Part, frozen=True, tag="close"):
    """The end of a block: bare, with the `whole` block, or with a `value` that cannot be derived."""

    choice: Number = 0
    block: Number = 0
    whole: bool = False
    value: Block | None = None


class Finishes(_Part, frozen=True, tag="finish"):
    """The finish of a choice. `stop`: an earlier reason that a later one replaced."""

    choice: Number = 0
    stop: Stop | None = None


class Counts(_Part, frozen=True, tag="usage"):
    """The token counts of the reply. `usage`: earlier counts, which later ones replaced."""

    usage: Usage | None = None


class Ends(_Part, frozen=True, tag="end"):
    """The end of the stream."""

    error: Any = None


class Silent(_Part, frozen=True, tag="silence"):
    """A silence: padding."""

    choice: Number | None = None
    block: Number | None = None
    look: Any = None


Part = Starts | Opens | Holds | Notes | Closes | Finishes | Counts | Ends | Silent
Row = tuple[Part, ...]
"""The parts of one batch."""


class Run(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Consecutive batches that hold the same parts, except for the lengths of the pieces."""

    parts: Row
    times: Number = 1


class Score(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What each batch holds, in order."""

    runs: tuple[Run, ...] = ()

    def __post_init__(self) -> None:
        batches = sum(run.times for run in self.runs)
        if batches > MOST_BATCHES:
            raise FieldError(("runs",), f"{batches:,} batches; at most {MOST_BATCHES:,} are allowed")

    def rows(self) -> Iterator[Row]:
        """The parts of each batch."""
        for run in self.runs:
            for number in range(run.times):
                yield tuple(_nth(part, number) for part in run.parts)


def scored(rows: Iterable[Row]) -> Score:
    """The Score of these batches: consecutive ones that differ in lengths alone are one run."""
    runs: list[Run] = []
    for _, group in groupby(rows, key=_shape):
        batches = list(group)
        parts = tuple(_together(column) for column in zip(*batches, strict=True))
        runs.append(Run(parts, len(batches)))
    return Score(tuple(runs))


def _shape(row: Row) -> str:
    return repr([_bare(part) for part in row])


def _bare(part: Part) -> Part:
    """The part without its lengths."""
    if not isinstance(part, Holds):
        return part
    return Holds(part.choice, part.block, part.at, 0, None if part.tokens is None else 0)


def _together(column: tuple[Part, ...]) -> Part:
    first = column[0]
    if not isinstance(first, Holds):
        return first
    pieces = [part for part in column if isinstance(part, Holds)]
    tokens = None if first.tokens is None else _numbers([int(_one(part.tokens or 0, 0)) for part in pieces])
    length = _numbers([_one(part.length, 0) for part in pieces])
    return Holds(first.choice, first.block, first.at, length, tokens)


def _numbers(values: list[int]) -> int | tuple[int, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _one(value: int | tuple[int, ...], number: int) -> int:
    return value if isinstance(value, int) else value[number] if number < len(value) else 0


def _nth(part: Part, number: int) -> Part:
    if not isinstance(part, Holds):
        return part
    tokens = None if part.tokens is None else _one(part.tokens, number)
    return replace(part, length=_one(part.length, number), tokens=tokens)
