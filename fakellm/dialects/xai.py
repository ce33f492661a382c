"""xAI's spelling, as recorded from grok-4-fast in 2025.

No `finish_reason` before the last delta, `created` read anew for each chunk, and a total that counts the reasoning
tokens a second time: 394 + 68 + 134 = 596.
"""

from __future__ import annotations

from fakellm.completion import Usage
from fakellm.dialects.dialect import JSON, Dialect
from fakellm.seed import DIGITS
from fakellm.variation import Variation


def _usage_details(usage: Usage) -> JSON:
    return {
        "prompt_tokens_details": {
            "text_tokens": usage.prompt,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": usage.cached,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": 0,
    }


XAI = Dialect(
    name="xai",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "whole"},
    ),
    stream_type="text/event-stream",
    chunk_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "finish_reason"),
    delta_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    message_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    call_keys=("id", "function", "index", "type"),
    nulls=frozenset({"refusal"}),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    reasoning_apart=True,
    completion_id=lambda source: source.uuid() + "_us-east-1",
    call_id=lambda source: "call_" + source.text(DIGITS, 8),
)
