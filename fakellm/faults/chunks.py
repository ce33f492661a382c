"""Faults between the chunks of a stream: one is missing, twice there, or out of order. None of them strikes a body."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from fakellm.apis.chat.chunk import NULL, Chunk, ChunkChoice
from fakellm.base.seed import Source
from fakellm.faults.base import Base, Place, index

replace = msgspec.structs.replace


class ChunkFault(Base, frozen=True):
    """A fault of this step."""

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"
    done: ClassVar[bool] = True
    """Whether `[DONE]` follows the chunks."""

    def spoil(self, chunks: tuple[Chunk, ...], source: Source) -> tuple[Chunk, ...]:
        """The chunks with the fault among them."""
        raise NotImplementedError


class NoFinish(ChunkFault, frozen=True, tag="no_finish"):
    """All that there is to say, and then the end: no finish reason, no usage, no `[DONE]` (E1, E3)."""

    done: ClassVar[bool] = False

    def spoil(self, chunks: tuple[Chunk, ...], source: Source) -> tuple[Chunk, ...]:
        parts = [part for chunk in chunks for part in chunk.choices]
        before = next((part.finish_reason for part in parts if not part.finish_reason), None)  # null, empty or absent
        cut = [tuple(part for part in chunk.choices if not part.finish_reason or _speaks(part)) for chunk in chunks]
        return tuple(
            replace(
                chunk,
                choices=tuple(replace(part, finish_reason=before) if part.finish_reason else part for part in choices),
                usage=chunk.usage if chunk.usage is NULL else None,
            )
            for chunk, choices in zip(chunks, cut, strict=True)
            if choices
        )


class Repeat(ChunkFault, frozen=True, tag="repeat"):
    """A chunk sent twice. `chunk`: which, from 0; where not given, one that says something."""

    chunk: Place = None

    def spoil(self, chunks: tuple[Chunk, ...], source: Source) -> tuple[Chunk, ...]:
        telling = [n for n, chunk in enumerate(chunks) if _says(chunk)]
        number = index(self.chunk, len(chunks), source, telling)
        return (*chunks[: number + 1], *chunks[number:])


class Swap(ChunkFault, frozen=True, tag="swap"):
    """A chunk in the place of the next, and that one in its. `chunk`: the first of the two, from 0; where not given,
    two that both say something."""

    chunk: Place = None

    def spoil(self, chunks: tuple[Chunk, ...], source: Source) -> tuple[Chunk, ...]:
        pairs = [n for n in range(len(chunks) - 1) if _says(chunks[n]) and _says(chunks[n + 1])]
        number = index(self.chunk, len(chunks) - 1, source, pairs)
        return (*chunks[:number], *reversed(chunks[number : number + 2]), *chunks[number + 2 :])


def _says(chunk: Chunk) -> bool:
    return any(map(_speaks, chunk.choices))


def _speaks(part: ChunkChoice) -> bool:
    delta = part.delta
    return bool(delta.content or delta.reasoning or delta.refusal or delta.tool_calls)
