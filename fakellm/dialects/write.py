"""Chunks, completions and errors to JSON, in the order and with the habits of a dialect. The inverse of `read`."""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.completion import NULL, Choice, Chunk, ChunkChoice, Completion, Delta, Text, ToolCallDelta, Usage, words
from fakellm.dialects.dialect import JSON, Dialect, dumps, spelt
from fakellm.errors import RequestError
from fakellm.seed import ALNUM, Source
from fakellm.variation import Spelling, Variation


def write_chunk(dialect: Dialect, chunk: Chunk, variation: Variation, number: int = 0) -> str:
    """The data of the event that carries the chunk of this number; of `variation`, what it says of spelling matters."""
    choices = [_chunk_choice(dialect, choice, variation) for choice in chunk.choices]
    frame = _envelope(dialect, "chat.completion.chunk", chunk, choices)
    if chunk.usage is not None:
        frame["usage"] = write_usage(dialect, chunk.usage) if isinstance(chunk.usage, Usage) else None
    spelling = _spelling(variation)
    each = {key: values[number] for key, values in (spelling.each or {}).items() if number < len(values)}
    extra = chunk.extra | (spelling.extra or {}) | each
    return spelt(_only(spelling.keys, _placed(dialect.chunk_keys, frame, extra)), spelling)


def obscured(dialect: Dialect, chunk: Chunk, variation: Variation, number: int, source: Source) -> Chunk:
    """The chunk of this number with `obfuscation`: random text that fills its JSON to a multiple of 16 bytes, plus one.

    So long was every such frame that was recorded from OpenAI, and the text is empty where nothing is missing.
    https://platform.openai.com/docs/api-reference/chat/create (`include_obfuscation`)
    """
    bare = replace(chunk, extra=chunk.extra | {"obfuscation": ""})
    missing = (1 - len(write_chunk(dialect, bare, variation, number).encode())) % 16
    return replace(chunk, extra=chunk.extra | {"obfuscation": source.text(ALNUM, missing)})


def write_body(dialect: Dialect, completion: Completion, source: Source) -> bytes:
    """The body of a reply that is not streamed. `source` gives the numbers that only the provider knows."""
    choices = [_body_choice(dialect, index, choice) for index, choice in enumerate(completion.choices)]
    body = _envelope(dialect, "chat.completion", completion, choices)
    if completion.usage is not None:
        body["usage"] = write_usage(dialect, completion.usage)
    body = dialect.decorate_body(_ordered(dialect, dialect.body_keys, body), source)
    before, after = dialect.margins
    return (before + dumps(body, dialect.indent) + after).encode()


def write_error(error: RequestError) -> bytes:
    """OpenAI's error body, with all four fields: https://platform.openai.com/docs/guides/error-codes"""
    fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return dumps({"error": fields}, 2).encode() + b"\n"


def _placed(keys: tuple[str, ...], values: JSON, extra: JSON) -> JSON:
    """The values in the order of `keys`, where `extra` keys have their places too; those that have none come last."""
    values = {key: values[key] for key in keys if key in values} | extra
    return {key: values[key] for key in keys if key in values} | values


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
        "object": kind,
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


def _chunk_choice(dialect: Dialect, choice: ChunkChoice, variation: Variation) -> JSON:
    values: JSON = {
        "index": choice.index,
        "delta": _delta(dialect, choice.delta, variation),
        "logprobs": None,
        **_said({"finish_reason": choice.finish_reason}),
    }
    if "logprobs" not in dialect.nulls:
        del values["logprobs"]
    if dialect.echoes:
        values["message"] = values["delta"]
    return _only(_spelling(variation).choice_keys, _placed(dialect.choice_keys, values, choice.extra))


def _delta(dialect: Dialect, delta: Delta, variation: Variation) -> JSON:
    values = _said({"role": delta.role, "content": delta.content, "refusal": delta.refusal})
    if delta.reasoning is not None:
        values |= _reasoning(variation.reasoning or "reasoning_content", delta.reasoning, words(delta.content))
    if isinstance(delta.tool_calls, tuple):
        values["tool_calls"] = [_call_piece(dialect, call) for call in delta.tool_calls]
    elif delta.tool_calls is NULL:
        values["tool_calls"] = None
    if delta.annotations:
        values["annotations"] = list(delta.annotations)
    return _only(_spelling(variation).delta_keys, _placed(dialect.delta_keys, {}, values | delta.extra))


def _said(values: dict[str, Text]) -> JSON:
    """The fields that are spoken of; NULL as null."""
    return {key: value or (None if value is NULL else value) for key, value in values.items() if value is not None}


def _reasoning(key: str, text: Text, content: str) -> JSON:
    """OpenRouter's and Vercel's details are items of the type `reasoning.text`, all at index 0.

    Mistral's thinking is a part of the content, beside the part that is `content`.
    """
    value = None if text is NULL else text
    if key in ("reasoning_content", "reasoning"):
        return {key: value}
    if key == "thinking":
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
        return {"content": [thinking, *([{"type": "text", "text": content}] if content else [])]} if text else {}
    details = [{"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}] if text else []
    return (
        {"reasoning_details": details}
        if key == "reasoning_details"
        else {"reasoning": value, "reasoning_details": details}
    )


def _call_piece(dialect: Dialect, call: ToolCallDelta) -> JSON:
    function = _said({"name": call.name, "arguments": call.arguments})
    values: JSON = {"index": None if call.index is NULL else call.index, **_said({"id": call.id, "type": call.type})}
    if call.index is None:
        del values["index"]
    values["function"] = function
    return {key: values[key] for key in dialect.call_keys if key in values}


def _body_choice(dialect: Dialect, index: int, choice: Choice) -> JSON:
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
    values = {
        "index": index,
        "message": _ordered(dialect, dialect.message_keys, message) | cited,
        "logprobs": None,
        "finish_reason": choice.finish_reason,
    }
    return _ordered(dialect, dialect.choice_keys, values)
