"""Mistral's spelling, as recorded from mistral-small, mistral-large and magistral in 2025 and 2026.

Calls whole, all in one chunk, with the finish and the usage; reasoning as parts of a content that is a list; `p`, a
text of random length, on all chunks but the first.

https://docs.mistral.ai/capabilities/reasoning
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.chat.providers.common import TEXTS_IN_TOKENS
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.skeleton import Fill, in_bulk
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX
from fakellm.model.blocks import Usage
from fakellm.streaming.division import Silences

_LETTERS = string.ascii_lowercase + string.digits
_PADDINGS = tuple(f'"{_LETTERS[:length]}"' for length in range(1, len(_LETTERS) + 1))


def _usage_details(usage: Usage) -> JSON:
    details: JSON = {"prompt_tokens_details": {"cached_tokens": usage.cached}, "service_tier": "standard"}
    return details | ({"completion_tokens_details": {"reasoning_tokens": usage.reasoning}} if usage.reasoning else {})


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    first, *rest = chunks
    padded = (replace(chunk, extra={"p": in_bulk("p", _padding)} | chunk.extra) for chunk in rest)
    return first, *padded


def _padding(fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
    drawn = fill.numbers("p", numbers[-1])
    return [_PADDINGS[drawn[each] % len(_PADDINGS)] for each in numbers]


_SILENCES = (
    Silences(1, "reasoning", {"delta": {"content": ""}}),
    Silences(1, "answer", {"delta": {"content": [{"type": "thinking", "thinking": []}]}}),
)
"""An empty text before the reasoning of a choice, and an empty reasoning after it."""


def _error(error: JSON, status: int) -> JSON:
    """The gateway reports a wrong key, the model everything else."""
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

_ACCEPTS = Accepts(
    roles=("system", "user", "assistant", "tool"),
    parts={
        **{kind: kind for kind in ("text", "image_url", "document_url", "input_audio", "thinking")},
        "file": "file_id",
        "reference": "reference_ids",
    },
    tool_types=("function",),
    requires_types=False,
    links_results=True,
)
"""https://docs.mistral.ai/api/endpoint/chat; results: https://github.com/Gage-Technologies/mistral-go/issues/8"""


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
    output_excludes_reasoning=False,
    completion_id=lambda source: source.text(HEX, 32),
    call_id=lambda source: source.text(ALNUM, 9),
    fingerprint=lambda source: None,
    calls_indexed=True,
    usage_unrequested="finish",
    silences=_SILENCES,
    decorate=_decorate,
    errors=_ERRORS,
    accepts=_ACCEPTS,
)
