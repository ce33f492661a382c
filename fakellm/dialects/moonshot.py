"""Moonshot's spelling, as recorded from kimi-k2.6 and kimi-k3 in 2026.

No `object` in a chunk, the finish with the last word, and usage with the finish.
"""

from __future__ import annotations

from fakellm.completion import Usage
from fakellm.dialects.common import no_content_beside_calls
from fakellm.dialects.dialect import JSON, Dialect
from fakellm.seed import HEX
from fakellm.variation import Variation


def _usage_details(usage: Usage) -> JSON:
    cached: JSON = {"cached_tokens": usage.cached} if usage.cached else {}
    return cached | ({"completion_tokens_details": {"reasoning_tokens": usage.reasoning}} if usage.reasoning else {})


MOONSHOT = Dialect(
    name="moonshot",
    usual=Variation(
        split="tokens",
        role="first",
        interleave="choices",
        finish="last",
        unfinished="null",
        usage="finish",
    ),
    stream_type="text/event-stream",
    chunk_keys=("id", "created", "model", "choices", "usage", "system_fingerprint"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "finish_reason"),
    delta_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    message_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"content"}),
    constants={},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    reasoning_apart=False,
    completion_id=lambda source: "chatcmpl-" + source.text(HEX, 24),
    call_id=lambda source: "call_" + source.text(HEX, 24),
    fingerprint=lambda source: None,
)
