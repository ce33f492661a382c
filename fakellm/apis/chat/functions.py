"""The dialect for requests with `functions`, which preceded `tools`: a reply has one call, without an id.

https://platform.openai.com/docs/api-reference/chat/create#chat_create-functions
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.chunk import NULL, Chunk, ChunkChoice, text_or_empty
from fakellm.apis.chat.dialect import Dialect
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source


def with_functions(dialect: Dialect) -> Dialect:
    """The dialect, with the first tool call of each choice as `function_call`."""

    def decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        return tuple(replace(chunk, choices=tuple(map(_part, chunk.choices))) for chunk in dialect.decorate(chunks))

    def decorate_body(body: JSON, source: Source) -> JSON:
        body = dialect.decorate_body(body, source)
        return body | {"choices": [_choice(choice) for choice in body["choices"]]}

    return replace(dialect, decorate=decorate, decorate_body=decorate_body)


def _part(part: ChunkChoice) -> ChunkChoice:
    delta = part.delta
    if isinstance(delta.tool_calls, tuple):
        first = delta.tool_calls[0]
        fields = {"name": text_or_empty(first.name), "arguments": text_or_empty(first.arguments)}
        called = {key: text for key, text in fields.items() if text or key == "arguments"}
        delta = replace(delta, tool_calls=None, extra=delta.extra | {"function_call": called})
    elif delta.tool_calls is NULL:
        delta = replace(delta, tool_calls=None)
    return replace(part, delta=delta, finish_reason=_finish(part.finish_reason))


def _choice(choice: JSON) -> JSON:
    message = {key: value for key, value in choice["message"].items() if key != "tool_calls"}
    for call in (choice["message"].get("tool_calls") or [])[:1]:
        message["function_call"] = call["function"]
    finish = {"finish_reason": _finish(choice["finish_reason"])} if "finish_reason" in choice else {}
    return choice | {"message": message} | finish


def _finish(reason: Any) -> Any:
    return "function_call" if reason == "tool_calls" else reason
