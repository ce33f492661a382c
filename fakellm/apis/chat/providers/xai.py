"""xAI's spelling, as recorded from grok-4-fast, grok-code-fast-1 and grok-3-mini in 2026, and in 2025.

No `finish_reason` before the last delta, `created` updated for each chunk, and a total that counts the reasoning tokens
in addition: 394 + 68 + 134 = 596. The role comes with the first text; in 2025, if a model reasoned silently, the role
came first, followed by an empty delta for each reasoning token but one (`padding: reasoning`).
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import DIGITS
from fakellm.model.blocks import Usage


def _usage_of_2025(usage: Usage) -> JSON:
    return {
        "prompt_tokens_details": {
            "text_tokens": usage.input,
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


def _usage_details(usage: Usage) -> JSON:
    """The cost in ticks of 10⁻¹⁰ dollars: 0.20, 0.05 (cached) and 0.50 dollars per million tokens (grok-4-fast)."""
    fresh, output = usage.input - usage.cached, usage.output + usage.reasoning
    return _usage_of_2025(usage) | {"cost_in_usd_ticks": 2000 * fresh + 500 * usage.cached + 5000 * output}


# The codes are the sentences by which gRPC libraries describe a status; a wrong key is a 400.
_ERRORS = Errors(
    usual=(
        Failure(400, "Incorrect API key provided.", code="Client specified an invalid argument"),
        Failure(401, "No API key provided.", code="The request does not have valid authentication credentials"),
        Failure(
            403, code="The caller does not have permission to execute the specified operation", message="Forbidden"
        ),
        Failure(404, code="Some requested entity was not found"),
        Failure(429, "Too many requests.", code="Some resource has been exhausted"),
        Failure(500, code="Internal error"),
        Failure(503, code="The service is currently unavailable"),
    ),
    body=lambda error, status: {"code": error["code"], "error": error["message"]},
)

XAI = Dialect(
    name="xai",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "whole"},
        role="first",
    ),
    stream_type="text/event-stream",
    chunk_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "finish_reason"),
    delta_keys=("content", "reasoning_content", "role", "refusal", "tool_calls"),
    message_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    call_keys=("id", "function", "index", "type"),
    nulls=frozenset({"refusal"}),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    output_excludes_reasoning=True,
    completion_id=lambda source: source.uuid(),
    call_id=lambda source: "call_" + source.text(DIGITS, 8),
    errors=_ERRORS,
)

XAI_2025 = replace(
    XAI,
    name="xai-2025",
    usage_details=_usage_of_2025,
    completion_id=lambda source: source.uuid() + "_us-east-1",
)
