"""DeepSeek's spelling, as recorded from deepseek-chat, deepseek-reasoner and deepseek-v4-flash in 2025 and 2026.

Usage with the finish; in the reasoner's deltas, either `content` or `reasoning_content` is null.

https://api-docs.deepseek.com/api/create-chat-completion
"""

from __future__ import annotations

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.chat.providers.common import ALL_IN_TOKENS, adding, in_parts, with_content
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    details: JSON = {"prompt_tokens_details": {"cached_tokens": usage.cached}}
    if usage.reasoning:
        details["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return details | {
        "prompt_cache_hit_tokens": usage.cached,
        "prompt_cache_miss_tokens": max(usage.input - usage.cached, 0),
    }


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    reasoners = with_content(chunks, "reasoning")

    def halved(part: ChunkChoice) -> ChunkChoice:
        delta, reasons = part.delta, part.index in reasoners
        opens = bool(delta.role and not delta.content and not delta.reasoning)
        extra: JSON = {}
        if delta.content is None and (opens or (reasons and delta.reasoning)):
            extra["content"] = None if reasons else ""
        if delta.reasoning is None and reasons and (opens or delta.content is not None):
            extra["reasoning_content"] = "" if opens else None
        return adding(part, extra) if extra else part

    return in_parts(chunks, halved)


_CODE = "invalid_request_error"
_ERRORS = Errors(
    usual=(
        Failure(400, code=_CODE),
        Failure(401, "Authentication Fails, Your api key is invalid", "authentication_error", _CODE),
        Failure(404, "Not found", code=_CODE),
        Failure(429, type="rate_limit_reached_error", code=_CODE),
        Failure(500, type="internal_server_error", code=_CODE),
        Failure(503, type="service_unavailable_error", code=_CODE),
    ),
    types={400: "application/octet-stream"},
)

_ACCEPTS = Accepts(roles=("system", "user", "assistant", "tool", "latest_reminder"))
"""https://github.com/BenedictKing/ccx/issues/149"""


DEEPSEEK = Dialect(
    name="deepseek",
    usual=Variation(
        split=ALL_IN_TOKENS,
        role="alone",
        fill={"finish": {"content": "empty"}},
        unfinished="null",
        usage="finish",
        usage_before="null",
    ),
    stream_type="text/event-stream; charset=utf-8",
    chunk_keys=("id", "object", "created", "model", "system_fingerprint", "choices", "usage"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "logprobs", "finish_reason"),
    delta_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    message_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"logprobs"}),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: source.uuid(),
    call_id=lambda source: "call_00_" + source.text(ALNUM, 24),
    fingerprint=lambda source: f"fp_{source.text(HEX, 10)}_prod0820_fp8_kvcache_20260402",
    calls_indexed=True,
    usage_unrequested="finish",
    decorate=_decorate,
    errors=_ERRORS,
    accepts=_ACCEPTS,
)
