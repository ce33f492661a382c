"""Chunks, completions and errors to JSON, in the order and with the habits of a dialect. The inverse of `read`."""

from __future__ import annotations

from fakellm.completion import Choice, Chunk, ChunkChoice, Completion, Delta, ToolCallDelta, Usage
from fakellm.dialects.dialect import JSON, Dialect, dumps
from fakellm.errors import RequestError


def write_chunk(dialect: Dialect, chunk: Chunk) -> str:
    """The data of the event that carries `chunk`."""
    choices = [_chunk_choice(dialect, choice) for choice in chunk.choices]
    frame = _envelope(dialect, "chat.completion.chunk", chunk, choices)
    if chunk.reports_usage:
        frame["usage"] = chunk.usage and _usage(dialect, chunk.usage)
    return dumps(_ordered(dialect, dialect.chunk_keys, frame))


def write_body(dialect: Dialect, completion: Completion) -> bytes:
    """The body of a reply that is not streamed."""
    choices = [_body_choice(dialect, index, choice) for index, choice in enumerate(completion.choices)]
    body = _envelope(dialect, "chat.completion", completion, choices)
    if completion.usage is not None:
        body["usage"] = _usage(dialect, completion.usage)
    return dumps(_ordered(dialect, dialect.body_keys, body), dialect.indent).encode() + b"\n" * bool(dialect.indent)


def write_error(error: RequestError) -> bytes:
    """OpenAI's error body, with all four fields: https://platform.openai.com/docs/guides/error-codes"""
    fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return dumps({"error": fields}, 2).encode() + b"\n"


def _ordered(dialect: Dialect, keys: tuple[str, ...], values: JSON) -> JSON:
    return {key: values[key] for key in keys if key in values and (values[key] is not None or key in dialect.nulls)}


def _envelope(dialect: Dialect, kind: str, said: Chunk | Completion, choices: list[JSON]) -> JSON:
    return {
        "id": said.id,
        "object": kind,
        "created": said.created,
        "model": said.model,
        "choices": choices,
        "system_fingerprint": said.system_fingerprint,
        **dialect.constants,
    }


def _usage(dialect: Dialect, usage: Usage) -> JSON:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": dialect.total(usage) if usage.total is None else usage.total,
        **dialect.usage_details(usage),
    }


def _chunk_choice(dialect: Dialect, choice: ChunkChoice) -> JSON:
    values = {
        "index": choice.index,
        "delta": _delta(dialect, choice.delta),
        "logprobs": None,
        "finish_reason": choice.finish_reason,
    }
    return _ordered(dialect, dialect.choice_keys, values)


def _delta(dialect: Dialect, delta: Delta) -> JSON:
    values = dialect.opening(delta) if delta.role else {}
    said = {
        "role": delta.role,
        "content": delta.content,
        "reasoning_content": delta.reasoning,
        "refusal": delta.refusal,
        "tool_calls": [_call_piece(dialect, call) for call in delta.tool_calls] or None,
    }
    values |= {key: value for key, value in said.items() if value is not None}
    return {key: values[key] for key in dialect.delta_keys if key in values}


def _call_piece(dialect: Dialect, call: ToolCallDelta) -> JSON:
    function = {"name": call.name, "arguments": call.arguments}
    values = {
        "index": call.index,
        "id": call.id,
        "type": None if call.id is None else "function",
        "function": {key: value for key, value in function.items() if value is not None},
    }
    return _ordered(dialect, dialect.call_keys, values)


def _body_choice(dialect: Dialect, index: int, choice: Choice) -> JSON:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in choice.tool_calls
    ]
    message = {
        "role": "assistant",
        "content": choice.content or dialect.empty_content(choice),
        "reasoning_content": choice.reasoning or None,
        "tool_calls": [_ordered(dialect, dialect.call_keys, call) for call in calls] or None,
        "refusal": choice.refusal or None,
        "annotations": [],
    }
    values = {
        "index": index,
        "message": _ordered(dialect, dialect.message_keys, message),
        "logprobs": None,
        "finish_reason": choice.finish_reason,
    }
    return _ordered(dialect, dialect.choice_keys, values)
