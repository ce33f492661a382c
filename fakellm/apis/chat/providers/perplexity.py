"""Perplexity's spelling, as recorded from sonar in August 2026, and from llama-3.1-sonar-small in June 2025.

Each chunk repeats the search results, the whole text so far and the token counts; the last is a
`chat.completion.done` with another id, and no `[DONE]` follows. No tool calls were recorded.
https://docs.perplexity.ai/api-reference/chat-completions-post
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, text_or_empty
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.common import LOWER_ALNUM, counted_details, in_parts, with_last
from fakellm.apis.skeleton import Fill, per_content, per_stream
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, Source
from fakellm.base.template import Hole
from fakellm.model.blocks import Usage
from fakellm.wire.framing import Framing

_KEYS = (
    "id",
    "model",
    "created",
    "system_fingerprint",
    "usage",
    "citations",
    "search_results",
    "object",
    "choices",
)
_CHOICE = ("index", "message", "delta", "finish_reason")
_RESULTS = 5  # the fewest recorded; there are up to 20
_SEARCH = 5000  # millionths of a dollar


def _usage_details(usage: Usage) -> JSON:
    """The cost in dollars: one per million tokens, and half a cent for the search."""
    cost = {
        "input_tokens_cost": _dollars(usage.input),
        "output_tokens_cost": _dollars(usage.output),
        "request_cost": _dollars(_SEARCH),
        "total_cost": _dollars(usage.input + usage.output + _SEARCH),
    }
    return {"search_context_size": "low", "cost": cost} | counted_details(usage)


def _dollars(millionths: int) -> float:
    """Rounded to five decimal places, half up."""
    return (millionths + 5) // 10 / 100_000


def _so_far(fill: Fill) -> JSON:
    """Running counts, without a cost."""
    usage = fill.counted
    sums = {"prompt_tokens": usage.input, "completion_tokens": usage.output}
    cost = {"input_tokens_cost": 0, "output_tokens_cost": 0, "total_cost": 0}
    total = usage.input + usage.output
    return sums | {"total_tokens": total, "search_context_size": "low", "cost": cost}


def _date(year: int, months: int, source: Source) -> str:
    """A day of the year, in one of its first months."""
    month, day = divmod(source.below(months * 28), 28)
    return f"{year}-{month + 1:02}-{day + 1:02}"


def _found(source: Source) -> JSON:
    """Search results, and their URLs as citations."""
    results = [
        {
            "title": f"Result {number}",
            "url": f"https://example.com/{source.draw(('url', number), lambda each: each.text(LOWER_ALNUM, 12))}",
            "date": source.draw(("date", number), lambda each: _date(2025, 12, each)),
            "last_updated": source.draw(("last_updated", number), lambda each: _date(2026, 6, each)),
            "snippet": f"What result {number} says.",
            "source": "web",
        }
        for number in range(1, _RESULTS + 1)
    ]
    return {"citations": [result["url"] for result in results], "search_results": results}


def _searched(chunks: tuple[Chunk, ...], found: Callable[[Source], JSON]) -> tuple[Chunk, ...]:
    """The chunks with the search results, and with the message so far in each choice."""

    def with_results(choice: ChunkChoice) -> ChunkChoice:
        name, text = f"message {choice.index}", text_or_empty(choice.delta.content)
        so_far = per_content("message", lambda fill: fill.so_far(name, text))
        return replace(choice, extra={"message": {"role": "assistant", "content": so_far}} | choice.extra)

    def result(name: str) -> Hole:
        return per_stream(name, lambda fill: fill.once("found", lambda: found(fill.source))[name])

    results = {name: result(name) for name in ("citations", "search_results")}
    return tuple(replace(chunk, extra=results | chunk.extra) for chunk in in_parts(chunks, with_results))


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    chunks = in_parts(_searched(chunks, _found), _with_role)
    before = tuple(
        replace(chunk, extra=chunk.extra | {"usage": per_content("usage so far", _so_far)})
        if isinstance(chunk.usage, Usage)
        else chunk
        for chunk in chunks[:-1]
    )
    done: JSON = {"object": "chat.completion.done"}
    if any(chunk.id for chunk in before):  # else this one has to carry the id
        done["id"] = per_stream("done_id", lambda fill: fill.source.draw("done_id", lambda source: source.uuid()))
    return with_last((*before, chunks[-1]), done)


def _with_role(choice: ChunkChoice) -> ChunkChoice:
    if not choice.finish_reason:
        return choice
    return replace(choice, delta=replace(choice.delta, extra={"role": "assistant"} | choice.delta.extra))


def _decorate_body(body: JSON, source: Source) -> JSON:
    empty = {"delta": {"role": "assistant", "content": ""}}
    choices_with_deltas = [choice | empty for choice in body["choices"]]
    choices = [{key: choice[key] for key in _CHOICE if key in choice} | choice for choice in choices_with_deltas]
    return _with_found(body | {"choices": choices}, _found(source))


def _with_found(body: JSON, found: JSON) -> JSON:
    return {key: (body | found)[key] for key in _KEYS if key in body | found}


_ERRORS = Errors(
    usual=(
        Failure(400, "The request is not valid.", "bad_request"),
        Failure(401, "Invalid API key provided. Ensure your API key is correct and active.", "invalid_api_key"),
        Failure(404, "Not found", "not_found"),
        Failure(429, "Request rate limit exceeded.", "request_rate_limit_exceeded"),
        Failure(500, "Internal server error", "internal_server_error"),
        Failure(503, "Service unavailable", "service_unavailable"),
    ),
    code="status",
    body=fields_of("message", "type", "code"),
)

PERPLEXITY = Dialect(
    name="perplexity",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "whole"},
        role="first",
        fill={"finish": {"content": "empty"}},
        usage="running",
        done=False,
        sse=Framing(line_end="crlf"),
    ),
    stream_type="text/event-stream; charset=utf-8",
    chunk_keys=_KEYS,
    body_keys=_KEYS,
    choice_keys=_CHOICE,
    delta_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    message_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset(),
    constants={},
    empty_content=lambda choice: "",
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: source.uuid(),
    call_id=lambda source: "call_" + source.text(ALNUM, 24),
    fingerprint=lambda source: None,
    usage_unrequested="usual",
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=_ERRORS,
)


def _found_2025(source: Source) -> JSON:
    found = _found(source)
    results = [{key: result[key] for key in ("title", "url", "date")} for result in found["search_results"]]
    return found | {"search_results": results}


PERPLEXITY_2025 = replace(
    PERPLEXITY,
    name="perplexity-2025",
    usual=Variation(
        role="every",
        finish="last",
        unfinished="null",
        spelling=Spelling(spaces=True),
        fill={"finish": {}},
        sse=Framing(),
    ).over(PERPLEXITY.usual),
    choice_keys=("index", "finish_reason", "message", "delta"),
    constants={"object": "chat.completion"},
    usage_details=lambda usage: {"search_context_size": "low"} | counted_details(usage),
    decorate=lambda chunks: _searched(chunks, _found_2025),
    decorate_body=lambda body, source: _with_found(body, _found_2025(source)),
)
