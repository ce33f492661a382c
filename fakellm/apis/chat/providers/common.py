"""What several dialects share: parts of usage objects, and walks over the choices of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source
from fakellm.model.blocks import Choice, Usage

TEXTS_IN_TOKENS: dict[str, Any] = {"content": "tokens", "reasoning": "tokens", "refusal": "tokens"}
"""The cuts of a provider that sends texts token by token, and calls whole."""
ALL_IN_TOKENS: dict[str, Any] = TEXTS_IN_TOKENS | {"arguments": "tokens"}
LOWER_ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"


def in_parts(chunks: tuple[Chunk, ...], change: Callable[[ChunkChoice], ChunkChoice]) -> tuple[Chunk, ...]:
    """The chunks, with each choice's part in them changed."""
    return tuple(replace(chunk, choices=tuple(change(part) for part in chunk.choices)) for chunk in chunks)


def with_content(chunks: tuple[Chunk, ...], field: str) -> set[int]:
    """The choices that have content in this field of a delta."""
    return {part.index for chunk in chunks for part in chunk.choices if getattr(part.delta, field)}


def adding(part: ChunkChoice, extra: JSON) -> ChunkChoice:
    """The part with these keys in its delta, except those that it has already."""
    return replace(part, delta=replace(part.delta, extra=extra | part.delta.extra))


def finishes(chunk: Chunk) -> bool:
    """Whether a choice ends in the chunk."""
    return any(part.finish_reason for part in chunk.choices)


def price(usage: Usage, prompt: int, completion: int) -> tuple[float, float]:
    """The cost of prompt and completion in dollars, at so many millionths of a cent per token."""
    return usage.input * prompt / 10**8, usage.output * completion / 10**8


def base32(source: Source, length: int) -> str:
    """Characters of Crockford's base 32, as in ULIDs: https://github.com/ulid/spec"""
    return source.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", length)


def no_content_beside_calls(choice: Choice) -> str | None:
    """The `content` of a message without text: empty, or None if tools are called."""
    return None if choice.tool_calls else ""


def counted_details(usage: Usage) -> JSON:
    """Details of the counts that are not zero, so that a provider that usually sends none loses nothing of a reply."""
    cached = {"prompt_tokens_details": {"cached_tokens": usage.cached}} if usage.cached else {}
    reasoning = {"completion_tokens_details": {"reasoning_tokens": usage.reasoning}} if usage.reasoning else {}
    return cached | reasoning


def cached_details(usage: Usage) -> JSON:
    """The cached tokens, even if 0; the reasoning tokens only if there are any."""
    return {"prompt_tokens_details": {"cached_tokens": usage.cached}} | counted_details(usage)


def seconds(source: Source, name: str, low: float, high: float) -> float:
    """A duration as servers measure it, to the nanosecond; drawn for this name."""
    return source.draw(name, lambda each: each.between(round(low * 1e9), round(high * 1e9))) / 1e9


def with_last(chunks: tuple[Chunk, ...], extra: JSON) -> tuple[Chunk, ...]:
    """The chunks, with additional keys in the last one."""
    return (*chunks[:-1], replace(chunks[-1], extra=chunks[-1].extra | extra))
