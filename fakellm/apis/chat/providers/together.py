"""Together's spelling, as recorded from Llama-3.3-70B-Instruct-Turbo in 2026, and from Qwen2.5-72B in February 2025.

Every chunk has its text twice, in the delta and beside it as `text`, with the number of the token; usage is sent with
the finish without a request. https://docs.together.ai/reference/chat-completions-1
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, text_or_empty
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors
from fakellm.apis.chat.providers.common import LOWER_ALNUM, counted_details, in_parts, no_content_beside_calls
from fakellm.apis.skeleton import Fill, in_bulk, per_stream
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX, Source
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    return {"cached_tokens": usage.cached} | counted_details(replace(usage, cached=0))


def _seed(index: int, source: Source) -> int:
    """A choice's seed of 64 bits, rounded to a double somewhere on its way, so that it ends in zeros."""
    return source.draw(("seed", index), lambda each: each.below(2**64 // 1000)) * 1000


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return in_parts(chunks, _decorated)


def _decorated(choice: ChunkChoice) -> ChunkChoice:
    index = choice.index
    seed = per_stream(f"seed {index}", lambda fill: _seed(index, fill.source)) if choice.finish_reason else None
    token_id = in_bulk("token_id", partial(_token_ids, f"token_id {index}"))
    delta = replace(choice.delta, extra={"token_id": token_id} | choice.delta.extra)
    return replace(
        choice, delta=delta, extra={"text": text_or_empty(choice.delta.content), "seed": seed} | choice.extra
    )


def _token_ids(name: str, fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
    drawn = fill.numbers(name, numbers[-1])
    return [str(drawn[each] % 128_256) for each in numbers]


def _decorate_body(body: JSON, source: Source) -> JSON:
    return body | {"choices": [_body_choice(choice, source) for choice in body["choices"]]}


def _body_choice(choice: JSON, source: Source) -> JSON:
    """The seed after the finish reason, `tool_calls` even if empty, and a call's arguments before its name."""
    calls = choice["message"].get("tool_calls") or []
    turned = [
        {key: dict(reversed(value.items())) if key == "function" else value for key, value in call.items()}
        for call in calls
    ]
    seeded = {"finish_reason": choice["finish_reason"], "seed": _seed(choice["index"], source)}
    return seeded | choice | {"message": choice["message"] | {"tool_calls": turned}}


def _completion_id(source: Source) -> str:
    letters = source.text(ALNUM, 13)
    return "-".join((letters[:7], letters[7:], source.text(HEX, 16)))


def _error(error: JSON, status: int) -> JSON:
    named = {key: error[key] for key in ("message", "type", "param", "code")}
    return {"id": f"oFake11-m7estS-{status:016x}", "error": named}


TOGETHER = Dialect(
    name="together",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "tokens"},
        role="every",
        reasoning="reasoning",
        fill={"delta": {"content": "empty"}},
        unfinished="null",
        usage="finish",
        usage_before="null",
    ),
    stream_type="text/event-stream;charset=utf-8",
    chunk_keys=("id", "object", "created", "choices", "model", "system_fingerprint", "usage"),
    body_keys=("id", "object", "created", "model", "prompt", "choices", "system_fingerprint", "usage"),
    choice_keys=("index", "text", "logprobs", "finish_reason", "seed", "delta", "message"),
    delta_keys=("token_id", "role", "content", "reasoning", "refusal", "tool_calls"),
    message_keys=("role", "content", "reasoning", "refusal", "tool_calls"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"content", "finish_reason", "logprobs"}),
    constants={"prompt": []},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=_completion_id,
    call_id=lambda source: "call_" + source.text(LOWER_ALNUM, 24),
    indent=2,
    body_type="application/json; charset=utf-8",
    calls_indexed=True,
    fingerprint=lambda source: None,
    usage_unrequested="usual",
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=Errors(body=_error),
)

TOGETHER_2025 = replace(
    TOGETHER,
    name="together-2025",
    usual=Variation(fill={"delta": {"content": "empty", "tool_calls": "null"}}).over(TOGETHER.usual),
    usage_details=counted_details,
    completion_id=lambda source: source.text(HEX, 16),
)
