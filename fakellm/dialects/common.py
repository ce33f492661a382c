"""What the hooks of several dialects have in common. Knows no provider by name."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fakellm.completion import Chunk, ChunkChoice


def in_parts(chunks: tuple[Chunk, ...], change: Callable[[ChunkChoice], ChunkChoice]) -> tuple[Chunk, ...]:
    """The chunks, with each choice's part in them changed."""
    return tuple(replace(chunk, choices=tuple(change(part) for part in chunk.choices)) for chunk in chunks)
