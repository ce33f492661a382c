"""Groq's spelling, as recorded from kimi-k2, llama-3.3 and gpt-oss in 2025 and 2026.

Calls whole, its own key with the id of the request, and the usage, with times in seconds, sent three times.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.chat.providers.common import (
    TEXTS_IN_TOKENS,
    adding,
    base32,
    finishes,
    in_parts,
    no_content_beside_calls,
    with_content,
)
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.chat.writer import write_usage
from fakellm.apis.skeleton import per_event, per_stream
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    source = Source(usage.input, "groq", usage.output)
    queue = source.draw("queue_time", lambda each: each.between(10**7, 25 * 10**7))
    prompt = usage.input * source.draw("prompt_time", lambda each: each.between(50_000, 200_000))
    completion = usage.output * source.draw("completion_time", lambda each: each.between(1_500_000, 3_000_000))
    details: JSON = {
        "queue_time": queue / 10**9,
        "prompt_time": prompt / 10**9,
        "completion_time": completion / 10**9,
        "total_time": (prompt + completion) / 10**9,
    }
    if usage.cached:
        details["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.reasoning:
        details["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return details


def _request(source: Source) -> JSON:
    name = source.draw("request_id", lambda each: base32(each, 24)).lower()
    return {"id": f"req_01{name}", "seed": source.draw("request_seed", lambda each: each.below(2**31))}


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    silent = with_content(chunks, "tool_calls") - with_content(chunks, "content") - with_content(chunks, "reasoning")

    def opened(part: ChunkChoice) -> ChunkChoice:
        if part.delta.reasoning:
            return adding(part, {"channel": "analysis"})
        opens = part.delta.role and part.delta.content is None
        return adding(part, {"content": None if part.index in silent else ""}) if opens else part

    first, *rest = in_parts(chunks, opened)
    first = replace(first, extra=first.extra | {"x_groq": per_stream("x_groq", lambda fill: _request(fill.source))})
    return first, *map(_counted, rest)


def _counted(chunk: Chunk) -> Chunk:
    if not isinstance(chunk.usage, Usage):
        return chunk
    extra: JSON = {} if chunk.choices else {"service_tier": "on_demand"}
    if finishes(chunk):
        request = per_stream("x_groq.id", lambda fill: _request(fill.source)["id"])
        extra["x_groq"] = {
            "id": request,
            "usage": per_event("x_groq.usage", lambda fill: write_usage(GROQ, fill.counted)),
        }
    return replace(chunk, extra=extra | chunk.extra)


def _error(error: JSON, _: int) -> JSON:
    """No `param`, and `code` only if there is one."""
    return {"error": {key: error[key] for key in ("message", "type", "code") if key != "code" or error[key]}}


_ERRORS = Errors(
    usual=(
        Failure(401, "Invalid API Key"),
        Failure(429, "Rate limit reached for model", "tokens"),
        Failure(500, "Internal Server Error", "internal_server_error"),
        Failure(503, "Service Unavailable", "internal_server_error"),
    ),
    body=_error,
    ending="\n",
    frame="event",
    done=False,
)

_ACCEPTS = Accepts(links_results=True)
"""https://github.com/hackclub/ai/issues/22"""


GROQ = Dialect(
    name="groq",
    usual=Variation(split=TEXTS_IN_TOKENS, role="alone", reasoning="reasoning", unfinished="null", usage="both"),
    stream_type="text/event-stream",
    chunk_keys=("id", "object", "created", "model", "system_fingerprint", "choices", "x_groq", "usage", "service_tier"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "usage_breakdown", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "logprobs", "finish_reason"),
    delta_keys=("role", "content", "reasoning", "channel", "tool_calls", "refusal"),
    message_keys=("role", "content", "reasoning", "tool_calls", "refusal"),
    call_keys=("id", "type", "function", "index"),
    nulls=frozenset({"logprobs", "usage_breakdown"}),
    constants={"usage_breakdown": None},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    usage_keys=(
        *("queue_time", "prompt_tokens", "prompt_time", "completion_tokens", "completion_time"),
        *("total_tokens", "total_time"),
    ),
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.uuid(),
    call_id=lambda source: "fc_" + source.uuid(),
    margins=("", "\n"),
    usage_unrequested="finish",
    decorate=_decorate,
    decorate_body=lambda body, source: body | {"x_groq": _request(source), "service_tier": "on_demand"},
    errors=_ERRORS,
    accepts=_ACCEPTS,
)
