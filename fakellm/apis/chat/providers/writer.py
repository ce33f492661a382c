"""Writer's spelling, as recorded from palmyra-x4 in 2025.

Every delta has every key, null if it has no value, and is in its choice twice; no `[DONE]` ends the stream.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers.common import in_parts
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls
from fakellm.base.json_text import JSON
from fakellm.base.seed import HEX, Source
from fakellm.model.blocks import Usage

_DATA: JSON = {
    "graph_data": {"sources": None, "status": None, "subqueries": None},
    "llm_data": None,
    "image_data": None,
    "translation_data": None,
    "web_search_data": None,
}
_KEYS = ("content", "role", "reasoning_content", "tool_calls", *_DATA, "refusal")


def _usage_details(usage: Usage) -> JSON:
    """Writer spells the key `prompt_token_details`."""
    return {
        "prompt_token_details": {"cached_tokens": usage.cached} if usage.cached else None,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning} if usage.reasoning else None,
    }


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return in_parts(chunks, _full)


def _full(choice: ChunkChoice) -> ChunkChoice:
    delta = replace(choice.delta, extra=_DATA | choice.delta.extra)
    return replace(choice, delta=delta, extra=choice.extra | {"trace_details": None})


def _decorate_body(body: JSON, source: Source) -> JSON:
    for choice in body["choices"]:
        message = choice["message"] | _DATA
        for call in message["tool_calls"] or ():
            call["index"] = None
        choice["message"] = {key: message[key] for key in _KEYS if key in message} | message
        choice["trace_details"] = None
    return body


WRITER = Dialect(
    name="writer",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "words"},
        role="repeated",
        interleave="choices",
        calls=Calls(arguments="null", id="null", name="null", type="null"),
        fill={"delta": {"content": "null", "tool_calls": "null", "refusal": "null"}},
        unfinished="null",
        usage_before="null",
        done=False,
    ),
    stream_type="text/event-stream",
    chunk_keys=("id", "object", "choices", "created", "model", "usage", "system_fingerprint", "service_tier"),
    body_keys=("id", "object", "choices", "created", "model", "usage", "system_fingerprint", "service_tier"),
    choice_keys=("index", "finish_reason", "message", "delta", "logprobs"),
    delta_keys=_KEYS,
    message_keys=_KEYS,
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"content", "tool_calls", "refusal", "logprobs", "service_tier"}),
    constants={"service_tier": None},
    empty_content=lambda choice: None,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: source.uuid(),
    call_id=lambda source: "chatcmpl-tool-" + source.text(HEX, 32),
    fingerprint=lambda source: "v1",
    usage_keys=("prompt_tokens", "total_tokens", "completion_tokens"),
    calls_indexed=True,
    echoes=True,
    decorate=_decorate,
    decorate_body=_decorate_body,
)
