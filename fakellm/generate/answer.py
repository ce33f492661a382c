"""What a model might answer to a request: choices that do as it asks. Owns how limits, stops, effort and formats are
honoured; `calls` picks the tools, `schema` makes the JSON."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.base import tokenizer
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.generate import calls
from fakellm.generate.json_schema import instance
from fakellm.generate.prose import text
from fakellm.model.completion import Choice, ToolCall
from fakellm.model.logprobs import weighed
from fakellm.model.request import Request

EFFORTS = {"none": 0, "minimal": 1, "low": 2, "medium": 5, "high": 10, "xhigh": 20, "max": 40}
"""Sentences of reasoning by `reasoning_effort`; a word that no provider uses is taken for medium."""


class Generate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `generate:` of a reply: what it says is made from the seed and the request.

    sentences: of the text, where text is due; two to four where not given.
    """

    sentences: Annotated[int, Meta(ge=1, le=1000)] | None = None


def answers(wanted: Generate, request: Request, seed: int, dialect: Dialect) -> tuple[Choice, ...]:
    """As many choices as the request asks for (`n`), with all the reasoning that counts, shown or not.

    The same seed and request give the same choices, streamed or not. Raises RequestError, naming the parameter, for
    what cannot be honoured: a schema that nothing meets, a tool that is not there, a limit below one token.
    """
    calls.check(request.chat)
    shape = _shape(request)
    limit = _limit(request)
    top = _top(request)
    choices = [
        _within(limit, _answer(wanted, request, seed, index, shape, dialect), dialect)
        for index in range(request.chat.n or 1)
    ]
    if top is None:
        return tuple(choices)
    sources = [Source(seed, request.digest, "logprobs", index) for index in range(len(choices))]
    return tuple(_weighed(choice, top, source) for choice, source in zip(choices, sources, strict=True))


def _answer(
    wanted: Generate, request: Request, seed: int, index: int, shape: dict[str, Any] | None, dialect: Dialect
) -> Choice:
    source = Source(seed, request.digest, "generate", index)
    effort = request.chat.reasoning_effort
    thoughts = EFFORTS.get(effort, EFFORTS["medium"]) if effort is not None else 0
    reasoning = text(Source(seed, request.digest, "reasoning", index), thoughts)
    made, named = calls.called(request, seed, index, dialect)
    if made:
        finish = dialect.named_call_finish if named else "tool_calls"
        return Choice(reasoning=reasoning, tool_calls=made, finish_reason=finish if dialect.finishes else None)
    content = text(source, wanted.sentences or source.between(2, 4)) if shape is None else _json(shape, source, request)
    return Choice(_until(content, request.chat.stop), reasoning, finish_reason="stop" if dialect.finishes else None)


def _shape(request: Request) -> dict[str, Any] | None:
    """The schema of the text that `response_format` asks for; None where any text will do.

    https://platform.openai.com/docs/guides/structured-outputs
    """
    said = request.chat.response_format or {"type": "text"}
    kind = said.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return _ANY_OBJECT
    if kind != "json_schema":
        message = f"Invalid value: {kind!r}. Supported values are: 'json_object', 'json_schema', and 'text'."
        raise RequestError(400, message, "invalid_value", "response_format.type")
    outer = said.get("json_schema")
    if not isinstance(outer, dict):
        message = "Missing required parameter: 'response_format.json_schema'."
        raise RequestError(400, message, "missing_required_parameter", "response_format.json_schema")
    inner = outer.get("schema", _ANY_OBJECT)
    if not isinstance(inner, dict):
        message = "Invalid type for 'response_format.json_schema.schema': expected an object."
        raise RequestError(400, message, "invalid_type", "response_format.json_schema.schema")
    return inner


_ANY_OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["answer", "count"],
}


def _json(shape: dict[str, Any], source: Source, request: Request) -> str:
    try:
        return dumps(instance.instance(shape, source))
    except instance.UnmetSchemaError as error:
        name = ((request.chat.response_format or {}).get("json_schema") or {}).get("name", "")
        message = f"Invalid schema for response_format {name!r}: {error}"
        raise RequestError(400, message, "invalid_json_schema", "response_format.json_schema.schema") from None


def _limit(request: Request) -> int | None:
    """The most tokens of a choice, its reasoning among them."""
    for name in ("max_completion_tokens", "max_tokens"):
        limit: int | None = getattr(request.chat, name)
        if limit is not None and limit < 1:
            message = f"Invalid {name!r}: integer below minimum value. Expected a value >= 1, but got {limit} instead."
            raise RequestError(400, message, "integer_below_min_value", name)
        if limit is not None:
            return limit
    return None


def _top(request: Request) -> int | None:
    """How many likely tokens are asked for in each place (`top_logprobs`); None where no `logprobs` are."""
    top = request.chat.top_logprobs
    if top is not None and not request.chat.logprobs:
        message = "Invalid value for 'top_logprobs': it is only allowed when 'logprobs' is true."
        raise RequestError(400, message, "invalid_value", "top_logprobs")
    if top is not None and not 0 <= top <= 20:
        message = f"Invalid 'top_logprobs': expected a value from 0 to 20, but got {top} instead."
        raise RequestError(400, message, "invalid_value", "top_logprobs")
    return (top or 0) if request.chat.logprobs else None


def _weighed(choice: Choice, top: int, source: Source) -> Choice:
    return replace(choice, logprobs=weighed(tokenizer.split(choice.content), top, source))


def _until(content: str, stop: str | tuple[str, ...] | None) -> str:
    """The text before the first of the stop sequences; an empty one stops nothing."""
    places = [content.find(each) for each in ((stop,) if isinstance(stop, str) else stop or ()) if each]
    return content[: min((place for place in places if place >= 0), default=len(content))]


def _within(limit: int | None, choice: Choice, dialect: Dialect) -> Choice:
    """The choice, cut where it has more tokens than are allowed: reasoning comes first, then text, then calls."""
    if limit is None:
        return choice
    reasoning, left, _ = _cut(choice.reasoning, limit)
    content, left, _ = _cut(choice.content, left)
    made: list[ToolCall] = []
    for call in choice.tool_calls:
        said, left, whole = _cut(call.name + call.arguments, left)
        if len(said) >= len(call.name) and said:
            made.append(replace(call, arguments=said[len(call.name) :]))
        if not whole:
            break
    cut = replace(choice, reasoning=reasoning, content=content, tool_calls=tuple(made))
    return choice if cut == choice else replace(cut, finish_reason="length" if dialect.finishes else None)


def _cut(said: str, left: int) -> tuple[str, int, bool]:
    """The first tokens of a text, how many are left over, and whether it is whole."""
    pieces = tokenizer.split(said)
    return "".join(pieces[:left]), max(left - len(pieces), 0), len(pieces) <= left
