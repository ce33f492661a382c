"""The deltas of a streamed reply, whichever API sends it. Owns these values.

A batch is the deltas that leave together: one chunk in chat, one or more events in other APIs. It is the unit of
pacing, padding and cutting. `fold` turns batches into a completion.
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
    """A piece of an open block. `at`: the path of the field; a text is appended, any other value extends a list.

    `tokens`: the log probabilities of this piece, if it has any.
    """

    choice: int
    block: int
    at: str
    value: Any
    tokens: tuple[Token, ...] = ()


class Note(Struct, frozen=True):
    """A value outside of blocks, of a choice or, if `choice` is None, of the whole reply. The last value counts."""

    choice: int | None
    key: str
    value: Any


class Close(Struct, frozen=True):
    """A block ends. A `value` replaces the block: the API repeats it, or no piece carried all of it."""

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
    """The stream ends. `error`: what went wrong; None for a clean end."""

    error: Any = None


class Silence(Struct, frozen=True):
    """Padding, a delta without meaning: an empty chunk, a ping, the progress of a server tool, an unknown event.

    `look`: how the API shows it; None for its usual way.
    """

    choice: int | None = None
    block: int | None = None
    look: Any = None


Delta = Start | Open | Piece | Note | Close | Finish | Count | End | Silence
Batch = tuple[Delta, ...]
