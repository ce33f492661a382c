"""Mistral's spelling, as recorded from mistral-small, mistral-large and magistral in 2025 and 2026.

Calls whole, all in one chunk, with the finish and the usage; reasoning as parts of a content that is a list; `p`, a
padding of random length, on all chunks but the first.

https://docs.mistral.ai/capabilities/reasoning
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from msgspec.structs import replace

from fakellm.apis.chat.chunk import NULL, Chunk, ChunkChoice, Delta
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.chat.providers.common import TEXTS_IN_TOKENS
from fakellm.apis.chat.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX, Source
from fakellm.model.completion import Usage

_PADDING = string.ascii_lowercase + string.digits


def _usage_details(usage: Usage) -> JSON:
    details: JSON = {"prompt_tokens_details": {"cached_tokens": usage.cached}, "service_tier": "standard"}
    return details | ({"completion_tokens_details": {"reasoning_tokens": usage.reasoning}} if usage.reasoning else {})


def _decorate(chunks: tuple[Chunk, ...], source: Source) -> tuple[Chunk, ...]:
    first, *rest = _thinking(chunks)
    padded = (replace(chunk, extra={"p": _PADDING[: source.between(1, len(_PADDING))]} | chunk.extra) for chunk in rest)
    return first, *padded


def _thinking(chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    """The chunks, with an empty text before the thinking of a choice, and an empty thought after it."""
    parts = [(number, part) for number, chunk in enumerate(chunks) for part in chunk.choices if part.delta.reasoning]
    opens = {part.index: (number, part) for number, part in reversed(parts)}
    closes = {part.index: (number, part) for number, part in parts if not part.finish_reason}
    for number, chunk in enumerate(chunks):
        yield from (_silent(chunk, part, "") for place, part in opens.values() if place == number and number)
        yield chunk
        thought = [{"type": "thinking", "thinking": []}]
        yield from (_silent(chunk, part, thought) for place, part in closes.values() if place == number)


def _silent(chunk: Chunk, part: ChunkChoice, content: object) -> Chunk:
    said = replace(
        part,
        delta=Delta(extra={"content": content}),
        finish_reason=None if part.finish_reason is None else NULL,
        logprobs=None,
        refusal_logprobs=None,
    )
    return replace(chunk, choices=(said,), usage=NULL if chunk.usage is NULL else None)


def _error(error: JSON, status: int) -> JSON:
    """The gateway knows the key, the model all else."""
    if status == 401:
        return {"detail": error["message"]}
    named = {key: error[key] for key in ("message", "type", "param", "code")}
    return {"object": "error", **named, "raw_status_code": status}


_ERRORS = Errors(
    usual=(
        Failure(400, "Invalid model", "invalid_model", "1500"),
        Failure(401, "Invalid API Key"),
        Failure(404, "Not found", "not_found", "1500"),
        Failure(429, "Rate limit exceeded", "rate_limited", "1300"),
        Failure(500, "Internal server error", "internal_server_error", "1000"),
        Failure(503, "Service unavailable.", "unreachable_backend", "1100"),
    ),
    code="digits",
    body=_error,
)

MISTRAL = Dialect(
    name="mistral",
    usual=Variation(
        split=TEXTS_IN_TOKENS,
        role="alone",
        together=("calls",),
        reasoning="thinking",
        fill={"opening": {"content": "empty"}, "finish": {"content": "empty"}},
        finish="call",
        unfinished="null",
        usage="finish",
    ),
    stream_type="text/event-stream; charset=utf-8",
    chunk_keys=("id", "object", "created", "model", "system_fingerprint", "choices", "usage", "p"),
    body_keys=("id", "created", "model", "system_fingerprint", "usage", "object", "choices"),
    choice_keys=("index", "delta", "finish_reason", "message"),
    delta_keys=("role", "content", "tool_calls", "refusal"),
    message_keys=("role", "tool_calls", "content", "refusal"),
    call_keys=("id", "type", "function", "index"),
    nulls=frozenset({"tool_calls"}),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    usage_keys=("prompt_tokens", "total_tokens", "completion_tokens"),
    reasoning_apart=False,
    completion_id=lambda source: source.text(HEX, 32),
    call_id=lambda source: source.text(ALNUM, 9),
    fingerprint=lambda source: None,
    calls_indexed=True,
    usage_unasked="finish",
    decorate=_decorate,
    errors=_ERRORS,
)
