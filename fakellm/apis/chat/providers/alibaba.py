"""Alibaba Cloud's spelling (Model Studio), as recorded from qwen3-max in 2026.

`choices` first and `id` last; the pieces of a call carry an empty id, and an empty piece follows the calls.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, Delta
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors
from fakellm.apis.chat.providers.common import in_parts, with_content
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls
from fakellm.base.json_text import JSON, rearranged
from fakellm.base.seed import HEX, Source
from fakellm.model.blocks import Usage
from fakellm.streaming.division import Silences


def _usage_details(usage: Usage) -> JSON:
    reasoning = {"completion_tokens_details": {"reasoning_tokens": usage.reasoning}} if usage.reasoning else {}
    return {**reasoning, "prompt_tokens_details": {"cached_tokens": usage.cached}}


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The finish of a choice with text has an empty content."""
    called = with_content(chunks, "tool_calls")

    def emptied(part: ChunkChoice) -> ChunkChoice:
        ends = part.finish_reason and part.index not in called and part.delta == Delta()
        return replace(part, delta=Delta(content="")) if ends else part

    return in_parts(chunks, emptied)


def _decorate_body(body: JSON, source: Source) -> JSON:
    """The calls of a whole body have their keys in alphabetical order; those of a stream do not."""
    for choice in body["choices"]:
        message = choice["message"]
        if "tool_calls" in message:
            message["tool_calls"] = rearranged(message["tool_calls"])
    return body


def _error(error: JSON, status: int) -> JSON:
    named = {key: error[key] for key in ("message", "type", "param", "code")}
    return {"error": named, "request_id": f"4d6f636b-0000-9000-8000-{status:012d}"}


_ACCEPTS = Accepts(roles=("system", "assistant", "user", "tool", "function"))
"""https://github.com/haru/redmine_ai_helper/issues/242"""


ALIBABA = Dialect(
    name="alibaba",
    usual=Variation(
        split={"content": "words", "reasoning": "words", "refusal": "words", "arguments": "words"},
        role="call",
        interleave="choices",
        calls=Calls(id="empty", type="repeated"),
        fill={"opening": {"content": "text"}, "delta": {"content": "null"}, "finish": {}},
        unfinished="null",
        usage_before="null",
    ),
    stream_type="text/event-stream",
    chunk_keys=("choices", "object", "usage", "created", "system_fingerprint", "model", "id"),
    body_keys=("choices", "object", "usage", "created", "system_fingerprint", "model", "id"),
    choice_keys=("message", "delta", "finish_reason", "index", "logprobs"),
    delta_keys=("content", "reasoning_content", "tool_calls", "refusal", "role"),
    message_keys=("content", "reasoning_content", "refusal", "role", "tool_calls"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"logprobs", "system_fingerprint"}),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.uuid(),
    call_id=lambda source: "call_" + source.text(HEX, 24),
    fingerprint=lambda source: None,
    calls_indexed=True,
    silences=(Silences(1, "calls_end", {"call": "last"}),),
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=Errors(body=_error),
    accepts=_ACCEPTS,
)
