"""Grammar: what the streams of an API can look like, as data. Knows no API by name.

`divide` obeys it: if a Division requires what the grammar forbids, the grammar wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from fakellm.model.blocks import Block

Join = Literal["never", "may", "must"]
"""Whether a part shares the batch of its neighbour."""


class Field(Struct, frozen=True):
    """A field of a block that is streamed after the block's opening.

    at: its path in the block.
    cut: in any pieces, as one `whole` piece, or in none: then only the closing of the block carries it.
    empty: an empty piece comes first.
    ride: it is always in the batch of the part that precedes it.
    look: there is no field, only a Silence with this look, such as the progress of a server tool.
    """

    at: str = ""
    cut: Literal["any", "whole", "none"] = "any"
    empty: bool = False
    ride: bool = False
    look: Any = None


class Joins(Struct, frozen=True):
    """Which parts share a batch with their neighbour: the start of a choice, its finish, the token counts, the end."""

    start: Join = "never"
    finish: Join = "never"
    usage: Join = "never"
    end: Join = "never"


def never(block: Block) -> Join:
    """An opening that always stands alone."""
    return "never"


class Grammar(Struct, frozen=True):
    """The rules for the streams of one API.

    fields: what is streamed of a block after its opening, in order; the opening holds the rest.
    choices: how many at most; 0 for any number.
    silent_first: whether a Silence may precede the start of a choice.
    closes: how a block ends: not at all, with a `bare` close, or with one that repeats the `whole` block.
    overlap: whether a block may open before the one before it has ended: never, if they open in order (`ordered`), or
        in `any` order.
    share: whether blocks share a batch: never, in the order of their `rank` (`ascending`), or in `any` order.
    opening: whether a block opens in the batch of its first piece.
    joins: what else shares a batch.
    rank: the order of a block within a batch.
    thoughts_apart: whether a running count of tokens has those of thoughts apart from the output: none while there are
        only thoughts, then all of them.
    """

    fields: Callable[[Block], tuple[Field, ...]]
    choices: int = 0
    silent_first: bool = True
    closes: Literal["no", "bare", "whole"] = "no"
    overlap: Literal["no", "ordered", "any"] = "no"
    share: Literal["no", "ascending", "any"] = "no"
    opening: Callable[[Block], Join] = never
    joins: Joins = Joins()
    rank: Callable[[Block], int] = lambda block: 0
    thoughts_apart: bool = False
