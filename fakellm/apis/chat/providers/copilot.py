"""GitHub Copilot's spelling, as recorded from gpt-4o and gpt-4o-mini in 2026: Azure's, with its own billing.

No `object`, no `finish_reason` before the end, and usage with the finish. The recordings have sorted keys, as Azure's
do; they do not show `created`.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.common import in_parts
from fakellm.apis.skeleton import Fill, per_event
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON, rearranged
from fakellm.base.seed import ALNUM, Source
from fakellm.model.blocks import Usage
from fakellm.streaming.division import Silences

_PADDING = "abcdefghijklmnopqrstuvwxyz0123456789"
_SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}
_PROMPT_VERDICT = {"prompt_filter_results": [{"content_filter_results": _SAFE, "prompt_index": 0}]}


def _usage_details(usage: Usage) -> JSON:
    return {
        "completion_tokens_details": {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "reasoning_tokens": usage.reasoning,
    }


def _bill(prompt: int, cached: int, completion: int) -> JSON:
    counts = {"input": prompt - cached, "cache_read": cached, "cache_write": 0, "output": completion}
    details = [
        {"batch_size": 1_000_000, "cost_per_batch": 0, "token_count": count, "token_type": kind}
        for kind, count in counts.items()
    ]
    return {"token_details": details, "total_nano_aiu": 0}


def _bill_of(fill: Fill) -> JSON:
    return _bill(fill.counted.input, fill.counted.cached, fill.counted.output)


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The verdict on the prompt comes first, in its own chunk; each text has a verdict too; the bill is with the usage.

    The filter lags: it usually has no results yet at the first text of a choice.
    """
    begun: set[int] = set()

    def filtered(choice: ChunkChoice) -> ChunkChoice:
        results = _SAFE if choice.delta.content and choice.index in begun else {}
        begun.update([choice.index] if choice.delta.content else [])
        return replace(choice, extra=choice.extra | {"content_filter_results": results})

    billed = (
        replace(chunk, extra=chunk.extra | {"copilot_usage": per_event("copilot_usage", _bill_of)})
        if isinstance(chunk.usage, Usage)
        else chunk
        for chunk in chunks
    )
    return in_parts(tuple(billed), filtered)


def _decorate_body(body: JSON, source: Source) -> JSON:
    for choice in body["choices"]:
        choice["content_filter_results"] = _SAFE if choice["message"].get("content") else {}
        length = source.draw(("padding", choice["index"]), lambda each: each.between(2, len(_PADDING)))
        choice["message"]["padding"] = _PADDING[:length]
    usage = body.get("usage")
    if usage:
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        body["copilot_usage"] = _bill(usage["prompt_tokens"], cached, usage["completion_tokens"])
    sorted_body: JSON = rearranged(body | _PROMPT_VERDICT | {"service_tier": "default"})
    return sorted_body


_ERRORS = Errors(
    usual=(Failure(400, "The requested model is not supported.", code="model_not_supported", param="model"),),
    body=fields_of("message", "code", "param", "type"),
    types={400: "text/plain; charset=utf-8"},
)

COPILOT = Dialect(
    name="copilot",
    usual=Variation(
        split="tokens",
        role="call",
        interleave="choices",
        fill={"opening": {"content": "text"}, "delta": {"content": "null"}},
        usage="finish",
        spelling=Spelling(order="sorted"),
    ),
    stream_type="text/event-stream",
    chunk_keys=("choices", "created", "id", "model", "system_fingerprint", "usage"),
    body_keys=("choices", "created", "id", "model", "system_fingerprint", "usage"),
    choice_keys=("delta", "finish_reason", "index", "message"),
    delta_keys=("content", "reasoning_content", "refusal", "role", "tool_calls"),
    message_keys=("content", "reasoning_content", "refusal", "role", "tool_calls"),
    call_keys=("function", "id", "index", "type"),
    nulls=frozenset(),
    constants={},
    empty_content=lambda choice: None,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.text(ALNUM, 29),
    call_id=lambda source: "call_" + source.text(ALNUM, 24),
    silences=(Silences(1, "stream", {"chunk": {"id": "", "created": 0, **_PROMPT_VERDICT}}),),
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=_ERRORS,
)
