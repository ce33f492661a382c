"""What the hooks of several dialects have in common. Knows no provider by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from fakellm.completion import Chunk, ChunkChoice, Usage
from fakellm.dialects.dialect import JSON
from fakellm.seed import Source

TEXTS_IN_TOKENS: dict[str, Any] = {"content": "tokens", "reasoning": "tokens", "refusal": "tokens"}
"""The cuts of a provider that sends texts as they come, and calls whole."""
ALL_IN_TOKENS: dict[str, Any] = TEXTS_IN_TOKENS | {"arguments": "tokens"}


def in_parts(chunks: tuple[Chunk, ...], change: Callable[[ChunkChoice], ChunkChoice]) -> tuple[Chunk, ...]:
    """The chunks, with each choice's part in them changed."""
    return tuple(replace(chunk, choices=tuple(change(part) for part in chunk.choices)) for chunk in chunks)


def saying(chunks: tuple[Chunk, ...], field: str) -> set[int]:
    """The choices that say something in this field of a delta."""
    return {part.index for chunk in chunks for part in chunk.choices if getattr(part.delta, field)}


def adding(part: ChunkChoice, extra: JSON) -> ChunkChoice:
    """The part with further keys in its delta: those of which it does not speak yet."""
    return replace(part, delta=replace(part.delta, extra=extra | part.delta.extra))


def finishes(chunk: Chunk) -> bool:
    """Whether a choice ends in the chunk."""
    return any(part.finish_reason for part in chunk.choices)


def price(usage: Usage, prompt: int, completion: int) -> tuple[float, float]:
    """What prompt and completion cost in dollars, at so many millionths of a cent a token."""
    return usage.prompt * prompt / 10**8, usage.completion * completion / 10**8


def base32(source: Source, length: int) -> str:
    """Characters of Crockford's base 32, as ULIDs have them: https://github.com/ulid/spec"""
    return source.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", length)
