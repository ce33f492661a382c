"""Parses the body of `POST /v1/responses` and makes the neutral request of it. Knows no rules and no provider.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from fakellm.apis.chat.requests import parameters
from fakellm.apis.chat.requests.chat_body import Chat
from fakellm.apis.openai.request_body import (
    invalid_type,
    invalid_value,
    missing,
    nested_too_deeply,
    typed,
    unsupported_value,
)
from fakellm.apis.responses.names import NAME
from fakellm.apis.responses.requests.body import ResponsesBody, ResponsesTool, TextOptions
from fakellm.apis.responses.requests.input_items import messages_of
from fakellm.base.errors import RequestError
from fakellm.model.request import AllowedCalls, JsonOutput, Request, Tool

T = TypeVar("T")

_FORMATS = ("json_object", "json_schema", "text")
_TRUNCATIONS = ("auto", "disabled")
_LOGPROBS = "message.output_text.logprobs"


def parse(data: bytes, headers: Mapping[str, str] | None = None) -> Request:
    """The request in an HTTP body, with these `headers`.

    Raises RequestError, which names the parameter, for a body that OpenAI refuses.
    """
    typed_body, body = typed(data, ResponsesBody)
    _check(typed_body)
    return neutral(typed_body, body, headers or {})


def _check(body: ResponsesBody) -> None:
    if body.model is None and body.prompt is None:
        raise missing("model")
    if body.input is None and not (body.previous_response_id or body.prompt or body.conversation):
        message = "One of 'input', 'previous_response_id', 'prompt' or 'conversation' must be provided."
        raise RequestError(400, message, "missing_required_parameter", "input")
    if body.previous_response_id and body.conversation:
        message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."
        raise RequestError(400, message, "mutually_exclusive_parameters", "previous_response_id")
    check_limit(body.max_output_tokens, 1)
    if body.truncation is not None and body.truncation not in _TRUNCATIONS:
        raise unsupported_value("truncation", body.truncation, _TRUNCATIONS)
    if body.background and body.store is False:
        raise invalid_value("background", "a response that runs in the background must be stored: 'store' is false")
    for number, tool in enumerate(body.tools or ()):
        if tool.type in ("function", "custom") and not tool.name:
            raise missing(f"tools[{number}].name")


def check_limit(tokens: int | None, fewest: int) -> None:
    """Raises RequestError for a limit of tokens that is below the lowest one."""
    if tokens is not None and tokens < fewest:
        message = (
            "Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {fewest}, but got {tokens} instead."
        )
        raise RequestError(400, message, "integer_below_min_value", "max_output_tokens")


def neutral(typed_body: ResponsesBody, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
    """The request of a typed body. `body` is the JSON that was sent."""
    offered = tuple(_offered(typed_body.tools or ()))
    refusals: list[RequestError] = []

    def usable(read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except RequestError as error:
            refusals.append(error)
            return default

    text = typed_body.text or TextOptions()
    options = typed_body.stream_options
    logprobs = _LOGPROBS in (typed_body.include or ())
    request = Request(
        api=NAME,
        model=typed_body.model or "",
        messages=messages_of(typed_body.instructions, body.get("input")),
        body=body,
        headers=headers,
        stream=bool(typed_body.stream),
        wants_usage=True,
        wants_obfuscation=options is None or options.include_obfuscation is not False,
        response_format=_format(text.format or {"type": "text"}),
        output=usable(lambda: _output(text.format or {"type": "text"}), None),
        max_tokens=typed_body.max_output_tokens,
        top_logprobs=(typed_body.top_logprobs or 0) if logprobs else None,
        effort=typed_body.reasoning.effort if typed_body.reasoning else None,
        offered=offered,
        tool_choice=_choice(typed_body.tool_choice, bool(typed_body.tools)),
        allowed_calls=usable(lambda: _allowed(typed_body, offered), AllowedCalls()),
        unusable=refusals[0] if refusals else None,
    )
    try:
        request.digest  # noqa: B018 # computed here, where a body that is too deep for it can still be refused
    except RecursionError:
        raise nested_too_deeply() from None
    return request


def summarizes(request: Request) -> bool:
    """Whether a request asks for summaries of the reasoning."""
    options = request.body.get("reasoning")
    return isinstance(options, dict) and bool(options.get("summary") or options.get("generate_summary"))


def _offered(tools: tuple[ResponsesTool, ...]) -> Iterator[Tool]:
    """The tools that the client runs. Those of the provider have no names."""
    for number, tool in enumerate(tools):
        if tool.type == "function" and tool.name:
            yield Tool(tool.name, "function", tool.parameters, f"tools[{number}].parameters")
        elif tool.type == "custom" and tool.name:
            yield _custom(tool, f"tools[{number}].format.definition")


def _custom(tool: ResponsesTool, place: str) -> Tool:
    """A custom tool: its input is any text, or text that a regular expression matches, or text of a Lark grammar."""
    name, form = tool.name or "", tool.format or {}
    syntax, definition = form.get("syntax"), form.get("definition")
    if form.get("type") != "grammar":
        return Tool(name, "custom")
    if syntax == "regex" and isinstance(definition, str):
        return Tool(name, "custom", {"type": "string", "pattern": f"^(?:{definition})$"}, place)
    return Tool(name, "custom", grammar=str(syntax))


def _format(form: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(name) for name in (form.get("type"), form.get("name")) if name)


def _output(form: dict[str, Any]) -> JsonOutput | None:
    """The JSON that `text.format` requests; None where any text will do."""
    kind = form.get("type")
    if kind not in _FORMATS:
        raise unsupported_value("text.format.type", kind, _FORMATS)
    if kind != "json_schema":
        return JsonOutput(param="text.format") if kind == "json_object" else None
    schema = form.get("schema")
    if not isinstance(schema, dict):
        raise (
            missing("text.format.schema")
            if schema is None
            else invalid_type("text.format.schema", "expected an object")
        )
    return JsonOutput(schema, str(form.get("name", "")), "text.format.schema")


def _choice(choice: str | dict[str, Any] | None, tools: bool) -> str:
    if isinstance(choice, dict):
        return str(choice.get("name") or choice.get("type"))
    return choice or ("auto" if tools else "none")


def _allowed(body: ResponsesBody, offered: tuple[Tool, ...]) -> AllowedCalls:
    """The tools that a reply may call. A tool of the provider that is chosen is not one of them."""
    choice = body.tool_choice
    if isinstance(choice, dict) and choice.get("type") not in ("function", "custom", "allowed_tools"):
        return AllowedCalls(parallel=body.parallel_tool_calls is not False)
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        listed = choice.get("tools")
        named = [each for each in listed if isinstance(each, dict) and each.get("name")] if listed else []
        choice = {**choice, "tools": named}
    only_theirs = choice == "required" and not offered and body.tools
    chat = Chat("", (), tool_choice="auto" if only_theirs else choice, parallel_tool_calls=body.parallel_tool_calls)
    return parameters.allowed_calls(chat, offered)
