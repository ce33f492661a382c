"""Cerebras' spelling, as recorded from zai-glm-4.7 and gpt-oss-120b in 2026, bodies since 2025.

A role, all calls whole in one delta, and a finish that carries usage and times; no `finish_reason` before it, and no
`[DONE]` at the end. https://inference-docs.cerebras.ai/api-reference/chat-completions
"""

from __future__ import annotations

from fakellm.apis.chat.chunk import Chunk
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.chat.providers.common import no_content_beside_calls, seconds, with_last
from fakellm.apis.skeleton import per_event
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import HEX, Source
from fakellm.base.template import resolved
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    return {
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "reasoning_tokens": usage.reasoning,
        },
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def time_info(created: int, source: Source) -> JSON:
    """Seconds that the request queued, was read and was answered; `created` is the time to the microsecond."""
    spent = {
        "queue_time": seconds(source, "queue_time", 1e-4, 0.01),
        "prompt_time": seconds(source, "prompt_time", 0.002, 0.02),
        "completion_time": seconds(source, "completion_time", 0.003, 0.9),
    }
    total = sum(spent.values()) + seconds(source, "overhead", 0.001, 0.01)
    fraction = source.draw("created_fraction", lambda each: each.below(10**6)) / 1e6
    return {"created": created + fraction, **spent, "total_time": total}


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    created = chunks[-1].created
    times = per_event("time_info", lambda fill: time_info(resolved(created, fill), fill.source))
    return with_last(chunks, {"time_info": times})


def _decorate_body(body: JSON, source: Source) -> JSON:
    return body | {"time_info": time_info(body["created"], source)}


_BUSY = "Requests per minute limit exceeded - too many requests sent."
_ERRORS = Errors(
    usual=(
        Failure(401, "Wrong API Key", code="wrong_api_key", param="api_key"),
        Failure(404, type="not_found_error", param="model"),
        Failure(429, _BUSY, "too_many_requests_error", "request_quota_exceeded", "quota"),
        Failure(500, "Encountered a server error, please try again.", code="", param=""),
        Failure(503, "Service Unavailable", code="", param=""),
    ),
    body=lambda error, status: error,
)

CEREBRAS = Dialect(
    name="cerebras",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "whole"},
        together=("calls",),
        reasoning="reasoning",
        usage="finish",
        done=False,
    ),
    stream_type="text/event-stream; charset=utf-8",
    chunk_keys=("id", "choices", "created", "model", "system_fingerprint", "object", "usage", "time_info"),
    body_keys=("id", "choices", "created", "model", "system_fingerprint", "object", "usage"),
    choice_keys=("delta", "finish_reason", "index", "message"),
    delta_keys=("content", "reasoning", "role", "refusal", "tool_calls"),
    message_keys=("content", "reasoning", "role", "refusal", "tool_calls"),
    call_keys=("function", "type", "id", "index"),
    nulls=frozenset(),
    constants={},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    usage_keys=(
        "total_tokens",
        "completion_tokens",
        "completion_tokens_details",
        "prompt_tokens",
        "prompt_tokens_details",
    ),
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.uuid(),
    call_id=lambda source: source.text(HEX, 9),
    fingerprint=lambda source: "fp_" + source.text(HEX, 20),
    usage_unrequested="usual",
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=_ERRORS,
)
