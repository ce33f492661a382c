"""Lines and bodies to batches: the inverse of `write`. It is lenient, as clients have to be.

A tool call counts wherever it appears: on a line of its own or on the last one, several on a line or one on each, with
or without an id or an index. Calls are numbered as they arrive: some servers give every call the index 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fakellm.apis.ollama.meaning import GRAMMAR, arguments_text, message, usage_of
from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Completion, Stop, Text, Thinking, Token, ToolCall
from fakellm.model.deltas import Batch, Count, Delta, End, Finish, Open, Piece, Silence, Start
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.wire.sse import Event

_THINKING, _TEXT = -2, -1
"""The numbers of the first blocks; calls are numbered from 0."""


def read_lines(events: Iterable[Event]) -> Iterator[Batch]:
    """One batch for each line, up to the one that ends the stream or cannot be read."""
    reader = _Reader()
    for event in events:
        batch = reader.batch(event.data)
        if batch:
            yield batch
        if any(isinstance(delta, End) for delta in batch):
            return


def read_body(body: bytes) -> Iterator[Batch]:
    """The batches that have the same meaning as a whole body. Raises ValueError if it is not a reply."""
    value = json.loads(body)
    if not isinstance(value, dict) or not ("message" in value or "response" in value):
        raise ValueError("the body is not a reply: it has neither 'message' nor 'response'")
    part = _part(value)
    calls = tuple(_call(call) for call in _list(part.get("tool_calls")))
    content, thinking = _text(part, "content"), _text(part, "thinking")
    tokens = _tokens(value.get("logprobs")) if content else ()
    choice = message(thinking, content, calls, _stop(value), tokens)
    yield from divide(Completion((choice,), usage_of(value)), Division(), GRAMMAR, Source(0))


class _Reader:
    """A stream, as read so far."""

    def __init__(self) -> None:
        self.started = False
        self.open: set[int] = set()
        self.calls = 0

    def batch(self, line: str) -> Batch:
        """What a line adds."""
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as problem:
            return (End(f"a line is not valid JSON: {problem}"),)
        if not isinstance(value, dict):
            return (End(f"a line is not a JSON object: {line[:80]}"),)
        if value.get("error"):
            return (End(value["error"]),)
        found = list(self._deltas(value))
        if not self.started:
            self.started = True
            found.insert(0, Start(0))
        elif not found:
            found.append(Silence(0))
        return tuple(found)

    def _deltas(self, value: dict[str, Any]) -> Iterator[Delta]:
        part = _part(value)
        content = _text(part, "content")
        yield from self._piece(_THINKING, Thinking(), "parts.0", _text(part, "thinking"), ())
        yield from self._piece(_TEXT, Text(), "text", content, _tokens(value.get("logprobs")) if content else ())
        for each in _list(part.get("tool_calls")):
            call = _call(each)
            yield Open(0, self.calls, ToolCall(call.id, call.name, ""))
            yield Piece(0, self.calls, "arguments", call.arguments)
            self.calls += 1
        if stop := _stop(value):
            yield Finish(0, stop)
        if usage := usage_of(value):
            yield Count(usage)
        if value.get("done") is True:
            yield End()

    def _piece(self, block: int, value: Block, at: str, text: str, tokens: tuple[Token, ...]) -> Iterator[Delta]:
        if not text:
            return
        if block not in self.open:
            self.open.add(block)
            yield Open(0, block, value)
        yield Piece(0, block, at, text, tokens)


def _part(value: dict[str, Any]) -> dict[str, Any]:
    """What has the content: the message or, on `/api/generate`, the line itself."""
    found = value.get("message")
    return found if isinstance(found, dict) else {**value, "content": value.get("response")}


def _stop(value: dict[str, Any]) -> Stop | None:
    reason = value.get("done_reason")
    return Stop(reason) if isinstance(reason, str) and reason else None


def _call(value: Any) -> ToolCall:
    call = value if isinstance(value, dict) else {}
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    return ToolCall(_text(call, "id"), _text(function, "name"), arguments_text({} if arguments is None else arguments))


def _tokens(value: Any) -> tuple[Token, ...]:
    return tuple(_token(each) for each in _list(value) if isinstance(each, dict))


def _token(value: dict[str, Any]) -> Token:
    text, number = _text(value, "token"), value.get("logprob")
    data = tuple(each for each in _list(value.get("bytes")) if type(each) is int)
    bytes_: tuple[int, ...] | None = () if data == tuple(text.encode("utf-8", "surrogatepass")) else data or None
    probability = number if isinstance(number, float) else 0.0
    return Token(text, probability, _tokens(value.get("top_logprobs")), bytes_)


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
