"""Generated replies: what a model might answer to a request, within the limits and in the format that it sets.

Owns how limits, stops, effort and formats are honoured; `calls` picks the tools, `json_schema` makes the JSON. Knows no
API's parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from fakellm.apis.protocol import Provider
from fakellm.base import tokenizer
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.generate import calls
from fakellm.generate.json_schema import instance
from fakellm.generate.prose import text
from fakellm.model.blocks import Choice, Stop, Text, Thinking, ToolCall
from fakellm.model.logprobs import drawn_tokens
from fakellm.model.request import JsonOutput, Request

EFFORTS = {"none": 0, "minimal": 1, "low": 2, "medium": 5, "high": 10, "xhigh": 20, "max": 40}
"""Sentences of reasoning by the request's effort; a word that no provider uses means medium."""

_ANY_OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["answer", "count"],
}


class Generate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `generate:` of a reply: its content is made from the seed and the request."""

    sentences: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="The sentences of the text, if the reply is text; two to four by default."),
    ] = None


def answers(generate: Generate, request: Request, seed: int, provider: Provider) -> tuple[Choice, ...]:
    """As many choices as the request sets, with all the reasoning that is counted, whether or not it is sent.

    The same seed and request give the same choices, streamed or not. Raises RequestError, which names the parameter,
    if it cannot be honoured: a schema that no value satisfies, a tool that is not on offer, a limit below one token.
    """
    calls.check(request)
    if request.unusable:
        raise request.unusable
    choices = tuple(
        _within(request.max_tokens, _answer(generate, request, seed, index, provider), provider)
        for index in range(request.choices)
    )
    if request.top_logprobs is None:
        return choices
    sources = [Source(seed, request.digest, "logprobs", index) for index in range(len(choices))]
    return tuple(
        _with_logprobs(choice, request.top_logprobs, source) for choice, source in zip(choices, sources, strict=True)
    )


def _answer(generate: Generate, request: Request, seed: int, index: int, provider: Provider) -> Choice:
    source = Source(seed, request.digest, "generate", index)
    sentences = EFFORTS.get(request.effort, EFFORTS["medium"]) if request.effort is not None else 0
    reasoning = text(Source(seed, request.digest, "reasoning", index), sentences)
    made = calls.generated_calls(request, seed, index, provider)
    if made:
        finish = provider.named_call_finish if request.allowed_calls.named else "tool_calls"
        return _choice(reasoning, "", made, Stop(finish) if provider.finishes else None)
    if request.output:
        content = _json(request.output, source)
    else:
        content = text(source, generate.sentences or source.between(2, 4))
    content, sequence = _until(content, request.stop)
    stop = Stop("stop", provider.stopped(sequence) if sequence else {})
    return _choice(reasoning, content, (), stop if provider.finishes else None)


def _choice(reasoning: str, content: str, made: Iterable[ToolCall], finish: Stop | None) -> Choice:
    """The choice with a block for each argument that is not empty."""
    thinking = (Thinking((reasoning,)),) if reasoning else ()
    texts = (Text(content),) if content else ()
    return Choice((*thinking, *texts, *made), finish)


def _with_logprobs(choice: Choice, top: int, source: Source) -> Choice:
    """The choice with log probabilities for the tokens of its text."""
    tokens = drawn_tokens(tokenizer.split(choice.content), top, source)
    blocks = (replace(block, logprobs=tokens) if isinstance(block, Text) else block for block in choice.blocks)
    return replace(choice, blocks=tuple(blocks))


def _json(output: JsonOutput, source: Source) -> str:
    schema = _ANY_OBJECT if output.schema is None else output.schema
    try:
        value = instance.instance(schema, source)
        return value if output.bare and isinstance(value, str) else dumps(value)
    except instance.UnsatisfiableSchemaError as error:
        message = f"Invalid schema for response_format {output.name!r}: {error}"
        raise RequestError(400, message, "invalid_json_schema", output.param) from None


def _until(content: str, stops: tuple[str, ...]) -> tuple[str, str]:
    """The text before the first of the stop sequences, and that sequence, or an empty one. An empty sequence stops
    nothing; of two at the same place, the one that the request names first counts."""
    found = [(place, stop) for stop in stops if stop and (place := content.find(stop)) >= 0]
    place, stop = min(found, key=lambda each: each[0], default=(len(content), ""))
    return content[:place], stop


def _within(limit: int | None, choice: Choice, provider: Provider) -> Choice:
    """The choice, cut after `limit` tokens: reasoning counts first, then text, then calls."""
    if limit is None:
        return choice
    reasoning, left, _ = _cut(choice.reasoning, limit)
    content, left, _ = _cut(choice.content, left)
    made: list[ToolCall] = []
    for call in choice.tool_calls:
        kept, left, whole = _cut(call.name + call.arguments, left)
        if len(kept) >= len(call.name) and kept:
            made.append(replace(call, arguments=kept[len(call.name) :]))
        if not whole:
            break
    cut = _choice(reasoning, content, made, choice.finish)
    return choice if cut == choice else replace(cut, finish=Stop("length") if provider.finishes else None)


def _cut(content: str, limit: int) -> tuple[str, int, bool]:
    """The first `limit` tokens of a text, how many of the limit are left, and whether the text is whole."""
    pieces = tokenizer.split(content)
    return "".join(pieces[:limit]), max(limit - len(pieces), 0), len(pieces) <= limit
