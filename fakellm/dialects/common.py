"""What several dialects say alike: parts of usage objects, and walks over the choices of a stream."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fakellm.completion import Choice, Chunk, ChunkChoice, Usage
from fakellm.dialects.dialect import JSON
from fakellm.seed import Source

LOWER_ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"


def no_content_beside_calls(choice: Choice) -> str | None:
    """The `content` of a message without text: empty, but none where tools are called."""
    return None if choice.tool_calls else ""


def said_details(usage: Usage) -> JSON:
    """Details only of what was counted: how providers that tell of none still lose nothing that a reply says."""
    cached = {"prompt_tokens_details": {"cached_tokens": usage.cached}} if usage.cached else {}
    reasoning = {"completion_tokens_details": {"reasoning_tokens": usage.reasoning}} if usage.reasoning else {}
    return cached | reasoning


def cached_details(usage: Usage) -> JSON:
    """The cached tokens, even of none; the reasoning tokens only if there are some."""
    return {"prompt_tokens_details": {"cached_tokens": usage.cached}} | said_details(usage)


def seconds(source: Source, low: float, high: float) -> float:
    """A duration as servers measure it, to the nanosecond."""
    return source.between(round(low * 1e9), round(high * 1e9)) / 1e9


def with_last(chunks: tuple[Chunk, ...], extra: JSON) -> tuple[Chunk, ...]:
    """The chunks, the last of them with keys besides."""
    return (*chunks[:-1], replace(chunks[-1], extra=chunks[-1].extra | extra))


def each_choice(chunks: tuple[Chunk, ...], dress: Callable[[ChunkChoice], ChunkChoice]) -> tuple[Chunk, ...]:
    """The chunks with every choice as `dress` makes it."""
    return tuple(replace(chunk, choices=tuple(dress(choice) for choice in chunk.choices)) for chunk in chunks)
