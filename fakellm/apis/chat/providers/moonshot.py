"""Moonshot's spelling, as recorded from kimi-k2.6 and kimi-k3 in 2026.

No `object` in a chunk, the finish with the last text, and usage with the finish.
"""

from __future__ import annotations

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.common import no_content_beside_calls
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import HEX
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    cached: JSON = {"cached_tokens": usage.cached} if usage.cached else {}
    return cached | ({"completion_tokens_details": {"reasoning_tokens": usage.reasoning}} if usage.reasoning else {})


_ERRORS = Errors(
    usual=(
        Failure(401, "Invalid Authentication", "invalid_authentication_error"),
        Failure(403, "The API you are accessing is not open", "permission_denied_error"),
        Failure(404, "Not found the model or Permission denied", "resource_not_found_error"),
        Failure(429, type="rate_limit_reached_error"),
    ),
    body=fields_of("message", "type"),
)

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
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.text(HEX, 24),
    call_id=lambda source: "call_" + source.text(HEX, 24),
    fingerprint=lambda source: None,
    errors=_ERRORS,
)
