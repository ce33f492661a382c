"""Reads the parameters of a chat that shape a generated reply: its format, its limits, the tools that it may call.

Each function raises RequestError, which names the parameter, for a value that cannot be honoured.
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fakellm.apis.chat.requests.chat_body import Chat
from fakellm.apis.openai.request_body import invalid_type, invalid_value, missing, unsupported_value
from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened
from fakellm.base.words.near_miss import near_miss
from fakellm.model.request import AllowedCalls, JsonOutput, Tool

_FORMATS = ("json_object", "json_schema", "text")
_MODES = ("none", "auto", "required")
_REQUIRED = ("required", "any")  # Mistral's word is "any": https://docs.mistral.ai/capabilities/function_calling
_CHOICES = ("function", "allowed_tools", "custom")


def response_format(chat: Chat) -> tuple[str, ...]:
    """The type of the requested format, by default `text`, and the name of its schema if it has one."""
    requested = chat.response_format
    if not requested:
        return ("text",)
    outer = requested.get("json_schema")
    names = (requested.get("type"), isinstance(outer, dict) and outer.get("name"))
    return tuple(str(name) for name in names if name)


def json_output(chat: Chat) -> JsonOutput | None:
    """The JSON that `response_format` requests; None where any text will do.

    https://platform.openai.com/docs/guides/structured-outputs
    """
    requested = chat.response_format
    if not requested:
        return None
    kind = requested.get("type")
    if kind not in _FORMATS:
        raise unsupported_value("response_format.type", kind, _FORMATS)
    if kind != "json_schema":
        return JsonOutput() if kind == "json_object" else None
    outer = requested.get("json_schema")
    if not isinstance(outer, dict):
        raise missing("response_format.json_schema")
    param = "response_format.json_schema.schema"
    schema = outer.get("schema", {}) if "schema" in outer else None
    if schema is not None and not isinstance(schema, dict):
        raise invalid_type(param, "expected an object")
    return JsonOutput(schema, str(outer.get("name", "")), param)


def max_tokens(chat: Chat) -> int | None:
    """The most tokens that a choice may have, including its reasoning."""
    for name in ("max_completion_tokens", "max_tokens"):
        limit: int | None = getattr(chat, name)
        if limit is not None and limit < 1:
            message = f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {limit} instead."
            raise RequestError(400, message, "integer_below_min_value", name)
        if limit is not None:
            return limit
    return None


def top_logprobs(chat: Chat) -> int | None:
    """How many likely tokens are requested for each position; None if no log probabilities are requested."""
    top = chat.top_logprobs
    if top is not None and not chat.logprobs:
        raise invalid_value("top_logprobs", "it is only allowed when 'logprobs' is true")
    if top is not None and not 0 <= top <= 20:
        message = f"Invalid 'top_logprobs': expected a value from 0 to 20, but got {top} instead."
        raise RequestError(400, message, "invalid_value", "top_logprobs")
    return (top or 0) if chat.logprobs else None


def tool_choice(chat: Chat) -> str:
    """The request's tool choice in one word: see `Request.tool_choice`."""
    choice = chat.tool_choice if chat.tools or not chat.functions else chat.function_call
    if not isinstance(choice, dict):
        return choice or ("auto" if chat.tools or chat.functions else "none")
    kind = choice.get("type")
    body = choice.get(str(kind), choice)
    return str(body.get("name") or kind) if isinstance(body, dict) else str(kind)


def allowed_calls(chat: Chat, offered: Sequence[Tool]) -> AllowedCalls:
    """The tools that a reply may call, according to `tool_choice` and `parallel_tool_calls`."""
    names = tuple(dict.fromkeys(tool.name for tool in offered))
    if chat.functions and not chat.tools:
        choice: Any = chat.function_call
        if isinstance(choice, dict):
            name = _known(choice.get("name"), names, "function_call.name", "function_call", "functions")
            return AllowedCalls((name,), required=True, named=True, parallel=False)
        return _mode(choice, names, "function_call", parallel=False)
    choice, parallel = chat.tool_choice, chat.parallel_tool_calls is not False
    if not isinstance(choice, dict):
        return _mode(choice, names, "tool_choice", parallel)
    kind = choice.get("type", "function")  # Mistral and vLLM take "function" as read
    if kind not in _CHOICES:
        raise unsupported_value("tool_choice.type", kind, _CHOICES)
    if kind == "allowed_tools":
        return _allowed_tools(choice, offered, parallel)
    return AllowedCalls((_named(choice, offered, "tool_choice"),), required=True, named=True, parallel=parallel)


def _mode(mode: str | None, names: tuple[str, ...], param: str, parallel: bool) -> AllowedCalls:
    if mode is not None and mode not in (*_MODES, *_REQUIRED):
        raise unsupported_value(param, mode, _MODES)
    required = mode in _REQUIRED
    if required and not names:
        raise invalid_value(param, f"'{param}' is only allowed when 'tools' are specified")
    return AllowedCalls(() if mode == "none" else names, required, parallel=parallel)


def _allowed_tools(choice: dict[str, Any], offered: Sequence[Tool], parallel: bool) -> AllowedCalls:
    """The offered tools that the choice lists. In the Responses API, the list is one level higher."""
    place, inner = "tool_choice.allowed_tools", choice.get("allowed_tools")
    if not isinstance(inner, dict):
        place, inner = "tool_choice", choice
    mode, listed = inner.get("mode", "auto"), inner.get("tools")
    if mode not in ("auto", "required"):
        raise unsupported_value(f"{place}.mode", mode, ("auto", "required"))
    if not isinstance(listed, list):
        raise missing(f"{place}.tools")
    allowed = {_named(tool, offered, f"{place}.tools[{number}]") for number, tool in enumerate(listed)}
    names = tuple(dict.fromkeys(tool.name for tool in offered if tool.name in allowed))
    return AllowedCalls(names, required=mode == "required", parallel=parallel)


def _named(tool: Any, offered: Sequence[Tool], place: str) -> str:
    """The name in ``{"type": "function", "function": {"name": …}}``, or in the same for a custom tool."""
    if not isinstance(tool, dict):
        raise invalid_type(place, "expected an object")
    kind = "custom" if tool.get("type") == "custom" else "function"
    body = tool.get(kind, tool)
    name = body.get("name") if isinstance(body, dict) else None
    names = [each.name for each in offered if each.kind == kind]
    return _known(name, names, f"{place}.{kind}.name", "tool_choice", "tools")


def _known(name: object, names: Sequence[str], place: str, param: str, offered_as: str) -> str:
    if not isinstance(name, str):
        raise missing(place)
    if name not in names:
        message = f"Tool choice {shortened(name)} not found in '{offered_as}' parameter{near_miss(name, names)}"
        raise RequestError(400, message, "invalid_value", param)
    return name
