"""Avian's spelling, as recorded from kimi-k2.5 in 2026: a chunk from the gateway, then a stream like OpenRouter's.

The first chunk has a different id from the others; the JSON has spaces.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, text_or_empty
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers.common import no_content_beside_calls
from fakellm.apis.skeleton import Fill, per_stream
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    """With the cost in dollars: 0.45, 0.225 (cached) and 2.20 dollars per million tokens, as for kimi-k2.5."""
    nanodollars = 450 * (usage.input - usage.cached) + 225 * usage.cached + 2200 * usage.output
    return {
        "cost": nanodollars / 1_000_000_000,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": 0,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    }


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The gateway's chunk keeps the reply's id; in the other chunks, the model's id replaces it."""
    first = chunks[0]

    def upstream_id(fill: Fill) -> str:
        letters = fill.source.draw("upstream_id", lambda source: source.text(ALNUM, 20))
        return f"gen-{fill.at_start(first.created)}-{letters}"

    upstream = per_stream("upstream_id", upstream_id)
    rest = []
    finished: set[int] = set()
    for chunk in chunks[1:]:
        choices = tuple(_routed(choice, choice.index not in finished) for choice in chunk.choices)
        finished |= {choice.index for choice in choices if choice.finish_reason}
        extra = {"id": upstream} if chunk.id == first.id else {}
        rest.append(replace(chunk, choices=choices, extra=chunk.extra | extra))
    return (first, *rest)


def _routed(choice: ChunkChoice, open_: bool) -> ChunkChoice:
    """The choice as the gateway passes it on: with `reasoning_details` too, and the model's own finish reason."""
    extra: JSON = {}
    if text_or_empty(choice.delta.reasoning):
        text = text_or_empty(choice.delta.reasoning)
        extra = {"reasoning_details": [{"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}]}
    elif choice.finish_reason and open_:
        extra = {"reasoning_content": None}
    delta = replace(choice.delta, extra=extra | choice.delta.extra)
    return replace(
        choice, delta=delta, extra=choice.extra | {"native_finish_reason": text_or_empty(choice.finish_reason) or None}
    )


AVIAN = Dialect(
    name="avian",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": 99},
        role="repeated",
        interleave="choices",
        fill={"opening": {}, "delta": {"content": "text"}},
        finish="twice",
        unfinished="null",
        usage="finish",
        spelling=Spelling(spaces=True),
    ),
    stream_type="text/event-stream; charset=utf-8",
    chunk_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "finish_reason", "native_finish_reason"),
    delta_keys=("content", "role", "reasoning", "reasoning_details", "reasoning_content", "tool_calls", "refusal"),
    message_keys=("content", "role", "reasoning_content", "tool_calls", "refusal"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"content"}),
    constants={},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.text(HEX, 24),
    call_id=lambda source: "call_" + source.text(HEX, 24),
    fingerprint=lambda source: None,
    decorate=_decorate,
)
