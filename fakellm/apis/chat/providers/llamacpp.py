"""The spelling of llama.cpp's server, as recorded from build 10499 in 2026, and from gpt-oss-20b on older builds.

The keys of a chunk are almost in alphabetical order; a call opens with the first piece of its arguments; the last
chunk and a whole body report the speed of the machine. `llamacpp-2025` (builds 6865 and 7010) does not report cached
tokens. https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.common import cached_details, counted_details, with_last
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.skeleton import Fill, per_event
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX, Source
from fakellm.model.blocks import Usage


def _timings(prompt: int, cached: int, predicted: int, source: Source) -> JSON:
    """The tokens that were read and written, and the milliseconds that this took."""
    return {
        "cache_n": cached,
        **_pace("prompt", max(prompt - cached, 1), 300, 9000, source),
        **_pace("predicted", max(predicted, 1), 7000, 14_500, source),
    }


def _pace(what: str, count: int, low: int, high: int, source: Source) -> JSON:
    """The timing of `count` tokens, each of which takes from `low` to `high` microseconds."""
    each_takes = source.draw(f"{what}_per_token", lambda each: each.between(low, high))
    spent = (count * each_takes + source.draw(f"{what}_rest", lambda each: each.below(1000))) / 1000
    return {
        f"{what}_n": count,
        f"{what}_ms": spent,
        f"{what}_per_token_ms": spent / count,
        f"{what}_per_second": 1000 * count / spent,
    }


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return with_last(chunks, {"timings": per_event("timings", _counted_timings)})


def _counted_timings(fill: Fill) -> JSON:
    counts = fill.counts or Usage(output=fill.number - 1)  # about one token per chunk
    return _timings(counts.input, counts.cached, counts.output, fill.source)


def _decorate_body(body: JSON, source: Source) -> JSON:
    usage: dict[str, Any] = body.get("usage") or {"prompt_tokens": 0, "completion_tokens": 0}
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return body | {"timings": _timings(usage["prompt_tokens"], cached, usage["completion_tokens"], source)}


_ERRORS = Errors(
    usual=(
        Failure(401, "Invalid API Key", "authentication_error"),
        Failure(403, "Forbidden", "permission_error"),
        Failure(404, "File Not Found", "not_found_error"),
        Failure(503, "Loading model", "unavailable_error"),
    ),
    code="status",
    body=fields_of("code", "message", "type"),
)

_ACCEPTS = Accepts(roles=None, tool_types=("function",))
"""`common_chat_tools_parse_oaicompat` in https://github.com/ggml-org/llama.cpp/blob/master/common/chat.cpp"""


LLAMACPP = Dialect(
    name="llamacpp",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "tokens"},
        calls=Calls(opening="piece"),
        fill={"opening": {"content": "null"}},
        unfinished="null",
    ),
    stream_type="text/event-stream",
    chunk_keys=("choices", "created", "id", "model", "system_fingerprint", "object", "usage", "timings"),
    body_keys=("choices", "created", "model", "system_fingerprint", "object", "usage", "id"),
    choice_keys=("finish_reason", "index", "delta", "message"),
    delta_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    message_keys=("role", "reasoning_content", "content", "refusal", "tool_calls"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset(),
    constants={},
    empty_content=lambda choice: "",
    usage_details=cached_details,
    usage_keys=("completion_tokens", "prompt_tokens", "total_tokens"),
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.text(ALNUM, 32),
    call_id=lambda source: source.text(ALNUM, 32),
    body_type="application/json; charset=utf-8",
    fingerprint=lambda source: f"b{source.between(6865, 10499)}-" + source.text(HEX, 9),
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=_ERRORS,
    accepts=_ACCEPTS,
)

LLAMACPP_2025 = replace(LLAMACPP, name="llamacpp-2025", usage_details=counted_details)
