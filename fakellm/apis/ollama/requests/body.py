"""The bodies of requests to Ollama's API, typed, and how Ollama refuses those that are not valid.

Unknown keys are ignored, and null is the same as no value: that is how Go reads JSON. The texts of refusals are those
of Go's JSON package and of https://github.com/ollama/ollama/blob/main/server/routes.go
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.base.validation import Path, Problem, dotted, problems

T = TypeVar("T")


class CallFunction(Struct, frozen=True):
    """What a call in the history calls. Some clients send the arguments as text."""

    name: str | None = None
    arguments: dict[str, Any] | str | None = None


class HistoryCall(Struct, frozen=True):
    """A call in the history."""

    id: str | None = None
    function: CallFunction | None = None


class HistoryMessage(Struct, frozen=True):
    """A message of the history. `images` are texts in base64."""

    role: str | None = None
    content: str | None = None
    thinking: str | None = None
    images: tuple[str, ...] | None = None
    tool_calls: tuple[HistoryCall, ...] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OfferedFunction(Struct, frozen=True):
    """A function on offer."""

    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OfferedTool(Struct, frozen=True):
    """A tool on offer."""

    type: str | None = None
    function: OfferedFunction | None = None


class _Body(Struct, frozen=True):
    """What both routes have."""

    model: str | None = None
    stream: bool | None = None
    format: dict[str, Any] | str | None = None
    think: bool | str | None = None
    options: dict[str, Any] | None = None
    keep_alive: str | float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class ChatBody(_Body, frozen=True):
    """The body of `POST /api/chat`."""

    messages: tuple[HistoryMessage, ...] | None = None
    tools: tuple[OfferedTool, ...] | None = None


class GenerateBody(_Body, frozen=True):
    """The body of `POST /api/generate`."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: tuple[int, ...] | None = None
    raw: bool | None = None
    images: tuple[str, ...] | None = None


def typed(data: bytes, kind: type[T], name: str) -> tuple[T, dict[str, Any]]:
    """The body as a value of `kind`, and as the JSON object that was sent. `name`: of Go's struct for it.

    Raises RequestError for one that is not valid.
    """
    body = _json_object(data, name)
    try:
        return msgspec.convert(body, kind), body
    except UnicodeEncodeError:
        return typed(_whole_pairs(body), kind, name)
    except msgspec.ValidationError:
        raise _refusal(next(problems(body, kind)), body, name) from None


def _whole_pairs(body: dict[str, Any]) -> bytes:
    """The body with U+FFFD for each half of a surrogate pair, as Go reads it."""
    text = json.dumps(body, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _json_object(data: bytes, name: str) -> dict[str, Any]:
    if not data.strip():
        raise RequestError(400, "missing request body", None)
    try:
        body = json.loads(data.decode("utf-8", "replace"))
    except RecursionError:
        raise RequestError(400, "exceeded max depth", None) from None
    except ValueError as error:
        raise RequestError(400, _invalid_json(error, data), None) from None
    if not isinstance(body, dict):
        raise RequestError(400, f"json: cannot unmarshal {_kind(body)} into Go value of type api.{name}", None)
    return body


def _invalid_json(error: ValueError, data: bytes) -> str:
    """Go's text for JSON that is not valid, as near as the place of the problem allows."""
    place = error.pos if isinstance(error, json.JSONDecodeError) else 0
    text = data.decode("utf-8", "replace")
    if place >= len(text.rstrip()):
        return "unexpected EOF"
    return f"invalid character {text[place]!r} looking for beginning of value"


def _refusal(problem: Problem, body: dict[str, Any], name: str) -> RequestError:
    """Go's text for a value of the wrong type; the field is named by its path."""
    param = dotted(problem.path)
    field = ".".join(step for step in problem.path if isinstance(step, str))
    expected = _GO.get(str(problem.path[-1]), "string")
    kind = _kind(_at(body, problem.path))
    message = f"json: cannot unmarshal {kind} into Go struct field {name}.{field} of type {expected}"
    return RequestError(400, message, None, param)


_GO = {
    "stream": "bool",
    "raw": "bool",
    "logprobs": "bool",
    "top_logprobs": "int",
    "dimensions": "int",
    "messages": "[]api.Message",
    "tools": "api.Tools",
    "tool_calls": "[]api.ToolCall",
    "images": "[]api.ImageData",
    "context": "[]int",
    "options": "map[string]interface {}",
    "function": "api.ToolFunction",
}
"""Go's types of the fields that are not strings."""


def _at(value: Any, path: Path) -> Any:
    """The value at a path."""
    for step in path:
        value = value[step]
    return value


def _kind(value: object) -> str:
    """Go's word for the type of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    return {list: "array", str: "string", dict: "object", type(None): "null"}.get(type(value), "number")
