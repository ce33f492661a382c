"""Chunks, completions and errors to JSON, in the order and with the habits of a dialect. The inverse of `read`."""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import NULL, Chunk, ChunkChoice, Delta, Text, ToolCallDelta, words
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.variation import Spelling, Variation
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON, WordForWord, dumps, spelt
from fakellm.base.seed import ALNUM, Source
from fakellm.model.completion import Choice, Completion, Token, Usage


def write_chunk(dialect: Dialect, chunk: Chunk, variation: Variation, number: int = 0) -> str:
    """The data of the event that carries the chunk of this number; of `variation`, what it says of spelling matters."""
    spelling = _spelling(variation)
    choices = [_chunk_choice(dialect, choice, variation, number) for choice in chunk.choices]
    frame = _envelope(dialect, "chat.completion.chunk", chunk, choices)
    if chunk.usage is not None:
        frame["usage"] = None
    if isinstance(chunk.usage, Usage):
        frame["usage"] = _only(spelling.usage_keys, write_usage(dialect, chunk.usage))
    ends = bool(frame.get("usage")) or any(choice.finish_reason for choice in chunk.choices)
    keys = spelling.last_keys if spelling.last_keys and ends else spelling.keys
    own = _own("", spelling, frame, chunk.extra, number)
    return spelt(_only(keys, _placed(dialect.chunk_keys, *own)), spelling)


def obscured(dialect: Dialect, chunk: Chunk, variation: Variation, number: int, source: Source) -> Chunk:
    """The chunk of this number with `obfuscation`: random text that fills its JSON to a multiple of 16 bytes, plus one.

    So long was every such frame that was recorded from OpenAI, and the text is empty where nothing is missing.
    https://platform.openai.com/docs/api-reference/chat/create (`include_obfuscation`)
    """
    bare = replace(chunk, extra=chunk.extra | {"obfuscation": ""})
    missing = (1 - len(write_chunk(dialect, bare, variation, number).encode())) % 16
    return replace(chunk, extra=chunk.extra | {"obfuscation": source.text(ALNUM, missing)})


def write_body(
    dialect: Dialect, completion: Completion, source: Source, margins: tuple[str, str] | None = None
) -> bytes:
    """The body of a reply that is not streamed, between the provider's `margins` or those given.

    `source` gives the numbers that only the provider knows.
    """
    choices = [_body_choice(dialect, index, choice) for index, choice in enumerate(completion.choices)]
    body = _envelope(dialect, "chat.completion", completion, choices)
    if completion.usage is not None:
        body["usage"] = write_usage(dialect, completion.usage)
    body = dialect.decorate_body(_ordered(dialect, dialect.body_keys, body), source)
    before, after = dialect.margins if margins is None else margins
    return (before + dumps(body, dialect.indent) + after).encode()


def write_error(error: RequestError) -> bytes:
    """OpenAI's error body, with all four fields: https://platform.openai.com/docs/guides/error-codes"""
    fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return dumps({"error": fields}, 2).encode() + b"\n"


def _placed(keys: tuple[str, ...], values: JSON, extra: JSON) -> JSON:
    """The values in the order of `keys`, where `extra` keys have their places too; those that have none come last."""
    if not extra:
        return {key: values[key] for key in keys if key in values}
    values = {key: values[key] for key in keys if key in values} | extra
    return {key: values[key] for key in keys if key in values} | values


SAID = frozenset(
    {
        *("choices", "usage", "index", "delta", "finish_reason", "role", "content", "refusal", "tool_calls"),
        *("reasoning", "reasoning_content", "reasoning_details"),
    }
)
"""Keys that carry what is said: where a spelling gives them to some chunks, the others keep what they say."""


def _own(place: str, spelling: Spelling, values: JSON, extra: JSON, number: int) -> tuple[JSON, JSON]:
    """The keys of an object at this place of the chunk of this number, and its extra ones: the provider's, and over
    them those that the spelling gives to every chunk, or to this one."""
    if not spelling.extra and not spelling.each:
        return values, extra
    each = {name: given for key, given in (spelling.each or {}).items() if (name := _name(place, key))}
    values = {key: value for key, value in values.items() if key not in each or (key in SAID and value)}
    extra = {key: value for key, value in extra.items() if key not in each or (key in SAID and value)}
    own = {name: value for key, value in (spelling.extra or {}).items() if (name := _name(place, key))}
    for name, given in each.items():
        if number in (given if isinstance(given, dict) else range(len(given))):
            own[name] = given[number]
    if spelling.order in ("sorted", "reversed"):
        own = {name: WordForWord(value) for name, value in own.items()}
    return values, extra | own


def _name(place: str, key: str) -> str | None:
    """The name of a key at this place; None for one of another place."""
    at = next((prefix for prefix in ("choice.", "delta.") if key.startswith(prefix)), "")
    return key.removeprefix(at) if at == place else None


def _only(keys: tuple[str, ...] | None, values: JSON) -> JSON:
    """The values of these keys, in their order; all as they stand where none are named."""
    return values if keys is None else {key: values[key] for key in keys if key in values}


def _spelling(variation: Variation) -> Spelling:
    return variation.spelling or Spelling()


def _ordered(dialect: Dialect, keys: tuple[str, ...], values: JSON) -> JSON:
    """The values in the order of `keys`; None as null where the dialect says so, else left out."""
    return {key: values[key] for key in keys if key in values and (values[key] is not None or key in dialect.nulls)}


def _envelope(dialect: Dialect, kind: str, said: Chunk | Completion, choices: list[JSON]) -> JSON:
    envelope: JSON = {
        "id": said.id,
        "object": "text_completion" if dialect.legacy else kind,
        "created": said.created,
        "model": said.model,
        "choices": choices,
    }
    if said.system_fingerprint is not None or "system_fingerprint" in dialect.nulls:
        envelope["system_fingerprint"] = said.system_fingerprint
    return envelope | dict(dialect.constants)


def write_usage(dialect: Dialect, usage: Usage) -> JSON:
    """The usage object of a chunk or a body."""
    values = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": dialect.total(usage) if usage.total is None else usage.total,
    }
    if usage.details is not None:
        return values | usage.details
    return _placed(dialect.usage_keys, values, dialect.usage_details(usage))


def _chunk_choice(dialect: Dialect, choice: ChunkChoice, variation: Variation, number: int) -> JSON:
    said: JSON = {"text": words(choice.delta.content)}
    if not dialect.legacy:
        said = {"delta": _delta(dialect, choice.delta, variation, number)}
    values: JSON = {
        "index": choice.index,
        **said,
        "logprobs": None,
        **_said({"finish_reason": choice.finish_reason}),
    }
    if "logprobs" not in dialect.nulls:
        del values["logprobs"]
    if dialect.echoes:
        values["message"] = values["delta"]
    extra = choice.extra | _logprobs(choice.logprobs, choice.refusal_logprobs)
    spelling = _spelling(variation)
    own = _own("choice.", spelling, values, extra, number)
    return _only(spelling.choice_keys, _placed(dialect.choice_keys, *own))


def _logprobs(content: tuple[Token, ...] | None, refusal: tuple[Token, ...] | None) -> JSON:
    """Both lists of tokens, where there is one: https://platform.openai.com/docs/api-reference/chat/create"""
    if content is None and refusal is None:
        return {}
    lists = {"content": content, "refusal": refusal}
    return {"logprobs": {key: None if tokens is None else _tokens(tokens, True) for key, tokens in lists.items()}}


def _tokens(tokens: tuple[Token, ...], with_top: bool) -> list[JSON]:
    return [
        {
            "token": each.token,
            "logprob": each.logprob,
            "bytes": list(each.token.encode("utf-8", "surrogatepass")) if each.bytes == () else each.bytes,
            **({"top_logprobs": _tokens(each.top, False)} if with_top else {}),
        }
        for each in tokens
    ]


def _delta(dialect: Dialect, delta: Delta, variation: Variation, number: int) -> JSON:
    spelling = _spelling(variation)
    values = _said({"role": delta.role, "content": delta.content, "refusal": delta.refusal})
    if delta.reasoning is not None:
        key = variation.reasoning or "reasoning_content"
        values |= _reasoning(key, delta.reasoning, words(delta.content), spelling.details)
    if isinstance(delta.tool_calls, tuple):
        values["tool_calls"] = [_call_piece(dialect, call, spelling) for call in delta.tool_calls]
    elif delta.tool_calls is NULL:
        values["tool_calls"] = None
    if delta.annotations:
        values["annotations"] = list(delta.annotations)
    extra = delta.extra
    if isinstance(values.get("content"), list):  # it is said there, whatever the provider says of an empty content
        extra = {key: value for key, value in extra.items() if key != "content"}
    values, extra = _own("delta.", spelling, values, extra, number)
    return _only(spelling.delta_keys, _placed(dialect.delta_keys, {}, values | extra))


def _said(values: dict[str, Text]) -> JSON:
    """The fields that are spoken of; NULL as null."""
    return {key: value or (None if value is NULL else value) for key, value in values.items() if value is not None}


def _reasoning(key: str, text: Text, content: str, details: JSON | None = None) -> JSON:
    """OpenRouter's and Vercel's details are items of the type `reasoning.text`, all at index 0, where nothing else is
    said.

    Mistral's thinking is a part of the content, beside the part that is `content`.
    """
    value = None if text is NULL else text
    if key in ("reasoning_content", "reasoning"):
        return {key: value}
    if key == "think":  # it is content by now
        return {}
    if key == "thinking":
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
        return {"content": [thinking, *([{"type": "text", "text": content}] if content else [])]} if text else {}
    items = [_detail(text, DETAILS if details is None else details)] if text else []
    return ({} if key == "reasoning_details" else {"reasoning": value}) | {"reasoning_details": items}


DETAILS: JSON = {"format": "unknown", "index": 0}


def _detail(text: Text, besides: JSON) -> JSON:
    kind = besides.get("type", "reasoning.text")
    return {"type": kind, kind.rpartition(".")[2]: text, **besides}


def _call_piece(dialect: Dialect, call: ToolCallDelta, spelling: Spelling) -> JSON:
    function = _said({"name": call.name, "arguments": call.arguments})
    values: JSON = {"index": None if call.index is NULL else call.index, **_said({"id": call.id, "type": call.type})}
    if call.index is None:
        del values["index"]
    values["function"] = function
    keys = (spelling.call_keys if call.name else spelling.piece_keys) or dialect.call_keys
    return {key: values[key] for key in keys if key in values}


def _body_choice(dialect: Dialect, index: int, choice: Choice) -> JSON:
    said = {"text": choice.content} if dialect.legacy else {"message": _message(dialect, choice)}
    values = {"index": index, **said, "logprobs": None, "finish_reason": choice.finish_reason}
    values = _ordered(dialect, dialect.choice_keys, values)
    return values | _logprobs(choice.logprobs or None, choice.refusal_logprobs or None)


def _message(dialect: Dialect, choice: Choice) -> JSON:
    calls: list[JSON] = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        | ({"index": number} if dialect.calls_indexed else {})
        for number, call in enumerate(choice.tool_calls)
    ]
    message: JSON = {
        "role": "assistant",
        "content": choice.content or dialect.empty_content(choice),
        "reasoning_content": None,
        "reasoning": None,
        "tool_calls": [_ordered(dialect, dialect.call_keys, call) for call in calls] or None,
        "refusal": choice.refusal or None,
        "annotations": [],
    }
    if choice.reasoning:
        message |= _reasoning(dialect.usual.reasoning or "reasoning_content", choice.reasoning, choice.content)
    cited: JSON = {"annotations": list(choice.annotations)} if choice.annotations else {}
    return _ordered(dialect, dialect.message_keys, message) | cited
