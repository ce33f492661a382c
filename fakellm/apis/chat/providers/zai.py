"""Z.ai's spelling, as recorded from glm-4.7 in 2026; ``zai-2025`` is that of glm-4.5, which does not send `object`.

The role beside every text, calls whole, usage with the finish, and no `finish_reason` before it. The keys of whole
bodies are in alphabetical order.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, text_or_empty
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.common import TEXTS_IN_TOKENS, adding, in_parts
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON, rearranged
from fakellm.base.seed import HEX, Source
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    return {
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _usage_details_2025(usage: Usage) -> JSON:
    details = _usage_details(usage)
    return details if usage.reasoning else {"prompt_tokens_details": details["prompt_tokens_details"]}


def _completion_id(source: Source) -> str:
    """An id: the time of the request, to the second, and 16 hex digits."""
    minutes, second = divmod(source.below(12 * 28 * 24 * 60 * 60), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    month, day = divmod(days, 28)
    return f"2026{month + 1:02}{day + 1:02}{hour:02}{minute:02}{second:02}{source.text(HEX, 16)}"


def _decorate_2025(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """An empty content is sent beside reasoning that is only white space."""

    def blank(part: ChunkChoice) -> ChunkChoice:
        silent = part.delta.content is None and text_or_empty(part.delta.reasoning).isspace()
        return adding(part, {"content": ""}) if silent else part

    return in_parts(chunks, blank)


def _decorate_body(body: JSON, _: Source) -> JSON:
    sorted_body: JSON = rearranged(body | {"request_id": body["id"]})
    return sorted_body


# https://docs.z.ai/api-reference/api-code
_ERRORS = Errors(
    usual=(
        Failure(400, "Unknown Model, please check the model code.", code="1211"),
        Failure(401, "token expired or incorrect"),
        Failure(429, "Rate limit reached for requests", code="1302"),
        Failure(503, "The service may be temporarily overloaded, please try again later", code="1305"),
    ),
    code="digits",
    body=fields_of("code", "message"),
)

ZAI = Dialect(
    name="zai",
    usual=Variation(
        split=TEXTS_IN_TOKENS,
        role="texts",
        fill={"finish": {"content": "empty"}},
        usage="finish",
    ),
    stream_type="text/event-stream;charset=UTF-8",
    chunk_keys=("id", "created", "object", "model", "system_fingerprint", "choices", "usage"),
    body_keys=("id", "created", "object", "model", "system_fingerprint", "choices", "usage"),
    choice_keys=("index", "finish_reason", "delta", "message"),
    delta_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    message_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    call_keys=("id", "index", "type", "function"),
    nulls=frozenset(),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=_completion_id,
    call_id=lambda source: "call_" + source.text(HEX, 24),
    fingerprint=lambda source: None,
    calls_indexed=True,
    decorate_body=_decorate_body,
    errors=_ERRORS,
)

ZAI_2025 = replace(
    ZAI,
    name="zai-2025",
    chunk_keys=tuple(key for key in ZAI.chunk_keys if key != "object"),
    body_keys=tuple(key for key in ZAI.body_keys if key != "object"),
    usage_details=_usage_details_2025,
    decorate=_decorate_2025,
    alike="blanks",
)
