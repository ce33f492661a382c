"""Snowflake Cortex's spelling, as recorded from claude-sonnet-4-6 and llama3.1-8b in 2026.

Every key is sent, but id, time and fingerprint are empty, and a stream never has a finish reason.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers.common import in_parts
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON, rearranged
from fakellm.base.seed import ALNUM, Source
from fakellm.model.blocks import Usage
from fakellm.streaming.division import Silences

_LOGPROBS: JSON = {"logprobs": {"content": None, "refusal": None}}
_MESSAGE: JSON = {
    "annotations": None,
    "audio": {"data": "", "expires_at": 0, "id": "", "transcript": ""},
    "content": "",
    "function_call": {"arguments": "", "name": ""},
    "refusal": "",
    "tool_calls": None,
}


def _usage_details(usage: Usage) -> JSON:
    return {
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": usage.reasoning,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": usage.cached},
    }


def _detail(text: str) -> JSON:
    return {
        "format": "anthropic-claude-v1",
        "id": "reasoning-text-1",
        "index": 0,
        "text": text,
        "type": "reasoning.text",
    }


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """Claude's `reasoning_details`, and an empty fingerprint."""
    return tuple(
        replace(chunk, extra=chunk.extra | ({} if chunk.system_fingerprint else {"system_fingerprint": ""}))
        for chunk in in_parts(chunks, _detailed)
    )


def _detailed(choice: ChunkChoice) -> ChunkChoice:
    delta, text = choice.delta, choice.delta.reasoning
    if isinstance(text, str) and text:
        delta = replace(delta, extra=delta.extra | {"reasoning_details": [_detail(text)]})
    return replace(choice, delta=delta, extra=choice.extra | _LOGPROBS)


def _decorate_body(body: JSON, source: Source) -> JSON:
    for choice in body["choices"]:
        message = _MESSAGE | choice["message"]
        details = message.pop("reasoning_details", None)
        if details:
            message["reasoning_details"] = [_detail(detail["text"]) for detail in details]
        choice |= _LOGPROBS | choice | {"finish_reason": choice.get("finish_reason") or "", "message": message}
        for call in message["tool_calls"] or ():
            call["custom"] = {"input": "", "name": ""}
    sorted_body: JSON = rearranged({"system_fingerprint": ""} | body)
    return sorted_body


SNOWFLAKE = Dialect(
    name="snowflake",
    usual=Variation(
        split="random",
        role="every",
        interleave="choices",
        reasoning="reasoning_details",
        fill={"delta": {"content": "empty", "refusal": "empty", "tool_calls": "null"}},
        spelling=Spelling(order="sorted"),
    ),
    stream_type="text/event-stream",
    chunk_keys=(
        "choices",
        "created",
        "id",
        "model",
        "object",
        "service_tier",
        "system_fingerprint",
        "usage",
    ),
    body_keys=("choices", "created", "id", "model", "object", "service_tier", "system_fingerprint", "usage"),
    choice_keys=("delta", "finish_reason", "index", "logprobs", "message"),
    delta_keys=("content", "reasoning_details", "refusal", "role", "tool_calls"),
    message_keys=("content", "reasoning_details", "refusal", "role", "tool_calls"),
    call_keys=("function", "id", "index", "type"),
    nulls=frozenset(),
    constants={"service_tier": ""},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: "",
    call_id=lambda source: "toolu_bdrk_01" + source.text(ALNUM, 22),
    fingerprint=lambda source: None,
    created=lambda source: 0,
    finishes=False,
    silences=(Silences(1, "unfinished"),),
    decorate=_decorate,
    decorate_body=_decorate_body,
)
