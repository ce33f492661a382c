"""Hugging Face's router, as recorded with three of its upstreams; a stream is in the upstream's dialect.

`huggingface` is the router with Cerebras behind it, the most recorded: qwen-3-coder in October 2025, before Cerebras
reported reasoning tokens. `huggingface-groq` is kimi-k2 by Groq in March 2026, with streams identical to Groq's;
`huggingface-novita` is llama-3.1-8b-instruct by Novita in August 2026.
https://huggingface.co/docs/inference-providers
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.cerebras import CEREBRAS, time_info
from fakellm.apis.chat.providers.common import cached_details, counted_details, with_last
from fakellm.apis.chat.providers.groq import GROQ
from fakellm.apis.skeleton import Fill, in_bulk, per_event, per_stream
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX, Source
from fakellm.base.template import resolved
from fakellm.model.blocks import Usage


def _time_info(created: int, source: Source) -> JSON:
    times = time_info(created, source)
    return {**{key: times[key] for key in times if key != "created"}, "created": times["created"]}


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    created = chunks[-1].created
    times = per_event("time_info", lambda fill: _time_info(resolved(created, fill), fill.source))
    return with_last(chunks, {"time_info": times})


def _error(error: JSON, status: int) -> JSON:
    """The hub checks the user and sends a plain text; the router checks the model and sends errors like OpenAI's."""
    if status in (401, 403, 429):
        return {"error": error["message"]}
    return fields_of("message", "type", "param", "code")(error, status)


_ERRORS = Errors(
    usual=(
        Failure(400, "The requested model does not exist", code="model_not_found", param="model"),
        Failure(401, "Invalid username or password."),
        Failure(429, "Too many requests"),
    ),
    body=_error,
)

HUGGINGFACE = replace(
    CEREBRAS,
    name="huggingface",
    usage_details=cached_details,
    usage_keys=("prompt_tokens", "completion_tokens", "total_tokens"),
    decorate=_decorate,
    decorate_body=lambda body, source: body | {"time_info": _time_info(body["created"], source)},
    errors=_ERRORS,
)

HUGGINGFACE_GROQ = replace(
    GROQ, name="huggingface-groq", errors=replace(_ERRORS, frame=GROQ.errors.frame, done=GROQ.errors.done)
)

_GAP = 4500
"""The mean time between Novita's chunks, in microseconds."""


def _with_metrics(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """Novita's metrics: the milliseconds to the first token, and the microsecond in which each chunk was written.

    The recorded chunks follow after 41, 5055 and 71 microseconds. Here, each is up to one `_GAP` later than a regular
    one, so they follow after 1 to 8999, and the time of a chunk depends only on its number.
    """
    created = chunks[0].created

    def first(fill: Fill) -> int:
        draw = fill.source.draw
        return fill.once("ttft_ms", lambda: draw("ttft_ms", lambda source: source.between(80, 900)))

    def start(fill: Fill) -> int:
        return int(fill.once("start", lambda: fill.at_start(created) * 10**6 + first(fill) * 1000))

    def written(fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
        first_one, drawn = start(fill), fill.numbers("ts_us", numbers[-1])
        return [str(first_one + each * _GAP + drawn[each] % _GAP) for each in numbers]

    metrics = {"ttft_ms": per_stream("ttft_ms", first), "ts_us": in_bulk("ts_us", written)}

    def measured(chunk: Chunk) -> Chunk:
        blank = {"system_fingerprint": ""} if chunk.system_fingerprint is None else {}
        return replace(chunk, extra=blank | {"sla_metrics": metrics})

    return tuple(map(measured, chunks))


def _novita_details(usage: Usage) -> JSON:
    return {"prompt_tokens_details": None, "completion_tokens_details": None} | counted_details(usage)


HUGGINGFACE_NOVITA = Dialect(
    name="huggingface-novita",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "tokens"},
        unfinished="null",
    ),
    stream_type="text/event-stream",
    chunk_keys=(
        "id",
        "object",
        "created",
        "model",
        "choices",
        "system_fingerprint",
        "usage",
        "sla_metrics",
    ),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "finish_reason"),
    delta_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    message_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset(),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_novita_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: source.text(HEX, 32),
    call_id=lambda source: "call_" + source.text(ALNUM, 24),
    fingerprint=lambda source: None,
    usage_unrequested="usual",
    decorate=_with_metrics,
    errors=_ERRORS,
)
