"""What several dialects say alike: parts of usage objects, and walks over the choices of a stream."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fakellm.completion import Chunk, ChunkChoice


def each_choice(chunks: tuple[Chunk, ...], dress: Callable[[ChunkChoice], ChunkChoice]) -> tuple[Chunk, ...]:
    """The chunks with every choice as `dress` makes it."""
    return tuple(replace(chunk, choices=tuple(dress(choice) for choice in chunk.choices)) for chunk in chunks)
