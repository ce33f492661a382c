"""The deltas that a reply is streamed as, whatever API sends it. Owns these values.

A batch is what leaves together: one chunk in chat, one or more events elsewhere. It is the unit of pacing, padding and
cutting. `fold` turns batches into a completion.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fakellm.model.blocks import Block, Stop, Token, Usage


class Start(Struct, frozen=True):
    """A choice begins."""

    choice: int


class Open(Struct, frozen=True):
    """A block begins. `block`: its number, which orders the blocks of a choice. `value`: the block without what its
    pieces will add."""

    choice: int
    block: int
    value: Block


class Piece(Struct, frozen=True):
    """More of an open block. `at`: the path of the field; a text is appended, any other value extends a list.

    `tokens`: the log probabilities of this piece, if it has any.
    """

    choice: int
    block: int
    at: str
    value: Any
    tokens: tuple[Token, ...] = ()


class Note(Struct, frozen=True):
    """Something that belongs to no block, of a choice or of the whole reply (None). The last value counts."""

    choice: int | None
    key: str
    value: Any


class Close(Struct, frozen=True):
    """A block ends. A `value` takes the place of the block: the API repeats it, or no piece carried all of it."""

    choice: int
    block: int
    value: Block | None = None


class Finish(Struct, frozen=True):
    """A choice has finished. The last reason counts."""

    choice: int
    stop: Stop


class Count(Struct, frozen=True):
    """Token counts so far. The last ones count."""

    usage: Usage


class End(Struct, frozen=True):
    """The stream ends. `error`: what went wrong; None for a good end."""

    error: Any = None


class Silence(Struct, frozen=True):
    """No meaning: padding, a ping, the progress of a server tool, an unknown event.

    `look`: how this API shows it; None for its usual way.
    """

    choice: int | None = None
    block: int | None = None
    look: Any = None


Delta = Start | Open | Piece | Note | Close | Finish | Count | End | Silence
Batch = tuple[Delta, ...]
