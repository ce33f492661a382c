"""OpenRouter's spelling, as recorded in 2026; ``openrouter-2025`` is the previous one, with the usage after the finish.

A comment while the upstream gets ready, the role on every chunk, the upstream's name and its own finish reason, and
the finish repeated with the usage. With a fast upstream there is no comment: `sse: {}` leaves it out.

https://openrouter.ai/docs/api/reference/streaming
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.chat.providers.common import (
    ALL_IN_TOKENS,
    adding,
    in_parts,
    no_content_beside_calls,
    price,
    with_content,
)
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, Source
from fakellm.model.blocks import Usage
from fakellm.wire.framing import Framing, Insert


def _usage_details(usage: Usage) -> JSON:
    details = _usage_details_2025(usage)
    details["prompt_tokens_details"] = {
        "cached_tokens": usage.cached,
        "cache_write_tokens": 0,
        "audio_tokens": 0,
        "video_tokens": 0,
    }
    details["completion_tokens_details"]["audio_tokens"] = 0
    return details


def _usage_details_2025(usage: Usage) -> JSON:
    prompt, completion = price(usage, 25, 200)
    return {
        "cost": prompt + completion,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "cost_details": {
            "upstream_inference_cost": prompt + completion,
            "upstream_inference_prompt_cost": prompt,
            "upstream_inference_completions_cost": completion,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "image_tokens": 0},
    }


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    reasoners = with_content(chunks, "reasoning")
    ended: set[int] = set()

    def closed(part: ChunkChoice) -> ChunkChoice:
        first = bool(part.finish_reason) and part.index in reasoners - ended
        ended.update({part.index} if part.finish_reason else ())
        return adding(part, {"reasoning": None}) if first and not part.delta.reasoning else part

    return tuple(
        replace(chunk, extra={"service_tier": None} | chunk.extra) if isinstance(chunk.usage, Usage) else chunk
        for chunk in _upstream(in_parts(chunks, closed))
    )


def _decorate_2025(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    reasoners = with_content(chunks, "reasoning")

    def silent(part: ChunkChoice) -> ChunkChoice:
        delta = part.delta
        speaks = part.index in reasoners and not delta.reasoning and not delta.tool_calls
        return adding(part, {"reasoning": None, "reasoning_details": []}) if speaks else part

    changed = in_parts(chunks, silent)
    # The chunk with the usage, after the finish, does not mention reasoning.
    return _upstream((*changed[:-1], chunks[-1]) if isinstance(chunks[-1].usage, Usage) else changed)


def _upstream(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The chunks with the name of the upstream provider and its finish reason."""
    named = tuple(replace(chunk, extra={"provider": "OpenAI"} | chunk.extra) for chunk in chunks)
    return in_parts(named, lambda part: replace(part, extra=part.extra | _native(part.finish_reason)))


def _native(finish_reason: Any) -> JSON:
    return {"native_finish_reason": finish_reason or None}


def _decorate_body_2025(body: JSON, _: Source) -> JSON:
    body["choices"] = [
        {"logprobs": None, "finish_reason": None, **_native(choice.get("finish_reason")), **choice}
        for choice in body["choices"]
    ]
    return {"id": body["id"], "provider": "OpenAI", **body}


def _decorate_body(body: JSON, source: Source) -> JSON:
    usage = {"usage": body.pop("usage")} if "usage" in body else {}
    return _decorate_body_2025(body, source) | {"service_tier": None} | usage


_USER = "user_2fakellm4tests0of0clients0"


def _error(error: JSON, status: int) -> JSON:
    """A code that is a number, and the upstream's error; without an API key there is no user id."""
    fields = {"message": error["message"], "code": error["code"]}
    if status == 401:
        return {"error": fields}
    if status == 400:
        fields["metadata"] = {"provider_name": None, "previous_errors": [{"code": 400, "message": error["message"]}]}
    elif status != 404:
        fields["metadata"] = {"raw": "The model is temporarily unavailable upstream.", "provider_name": "OpenAI"}
    return {"error": fields, "user_id": _USER}


_ERRORS = Errors(
    usual=(
        Failure(401, "Missing Authentication header"),
        Failure(404, "No endpoints found that can serve this model."),
        *(Failure(status, "Provider returned error") for status in (429, 500, 502, 503)),
    ),
    code="status",
    body=_error,
    frame="chunk",
)

OPENROUTER = Dialect(
    name="openrouter",
    usual=Variation(
        split=ALL_IN_TOKENS,
        role="every",
        reasoning="both",
        fill={"delta": {"content": "text"}},
        finish="twice",
        unfinished="null",
        usage="finish",
        spelling=Spelling(floats="decimal"),
        sse=Framing(insert=(Insert(before=(0,), comment="OPENROUTER PROCESSING"),)),
    ),
    stream_type="text/event-stream",
    chunk_keys=(
        *("id", "object", "created", "model", "provider", "service_tier", "system_fingerprint"),
        *("choices", "usage"),
    ),
    body_keys=("id", "model", "object", "created", "choices", "system_fingerprint", "usage"),
    choice_keys=("index", "delta", "message", "finish_reason", "native_finish_reason"),
    delta_keys=("content", "role", "reasoning", "reasoning_details", "refusal", "tool_calls"),
    message_keys=("role", "content", "refusal", "reasoning", "reasoning_details", "tool_calls"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"content", "refusal", "reasoning"}),
    constants={},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: f"gen-{source.between(1_770_000_000, 1_790_000_000)}-{source.text(ALNUM, 20)}",
    call_id=lambda source: "call_" + source.text(ALNUM, 24),
    fingerprint=lambda source: None,
    calls_indexed=True,
    usage_unrequested="finish",
    margins=("\n         \n", ""),
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=_ERRORS,
)

OPENROUTER_2025 = replace(
    OPENROUTER,
    name="openrouter-2025",
    usual=Variation(finish="alone", usage="after").over(OPENROUTER.usual),
    chunk_keys=("id", "provider", "model", "object", "created", "choices", "system_fingerprint", "usage"),
    choice_keys=("index", "delta", "message", "finish_reason", "native_finish_reason", "logprobs"),
    delta_keys=("role", "content", "reasoning", "reasoning_details", "refusal", "tool_calls"),
    nulls=OPENROUTER.nulls | {"logprobs"},
    usage_details=_usage_details_2025,
    decorate=_decorate_2025,
    decorate_body=_decorate_body_2025,
)
