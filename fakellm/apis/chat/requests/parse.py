"""Parses the body of `POST /v1/chat/completions` and makes the neutral request of it.

Knows no rules and no provider: `accepts` handles what only some providers refuse.
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from fakellm.apis.chat.requests import chat_body, parameters
from fakellm.apis.chat.requests.chat_body import Chat, Custom, MessageToolCall, StreamOptions
from fakellm.apis.openai.request_body import empty_array, nested_too_deeply, typed
from fakellm.base.errors import RequestError
from fakellm.model.request import AllowedCalls, Message, PastCall, Request, Tool

T = TypeVar("T")


def parse(data: bytes, headers: Mapping[str, str] | None = None) -> Request:
    """The request in an HTTP body, with these `headers`.

    Raises RequestError, which names the parameter, for a body that no provider of chat completions accepts.
    """
    chat, body = typed(data, Chat)
    if not chat.messages:
        raise empty_array("messages")
    return neutral(chat, body, headers or {})


def neutral(chat: Chat, body: dict[str, Any], headers: Mapping[str, str], api: str = "chat") -> Request:
    """The request of a typed body. `body` is the JSON that was sent, to this route or to another."""
    options = chat.stream_options or StreamOptions()
    offered = tuple(_offered(chat)) if chat.tools or chat.functions else ()
    refusals: list[RequestError] = []

    def usable(read: Callable[[Chat], T], default: T) -> T:
        try:
            return read(chat)
        except RequestError as error:
            refusals.append(error)
            return default

    request = Request(
        model=chat.model,
        messages=tuple(map(_message, chat.messages)),
        api=api,
        body=body,
        headers=headers,
        chat=chat,
        stream=bool(chat.stream),
        wants_usage=bool(options.include_usage),
        wants_obfuscation=bool(options.include_obfuscation),
        choices=chat.n or 1,
        response_format=parameters.response_format(chat),
        output=usable(parameters.json_output, None),
        max_tokens=usable(parameters.max_tokens, None),
        top_logprobs=usable(parameters.top_logprobs, None),
        stop=(chat.stop,) if isinstance(chat.stop, str) else chat.stop or (),
        effort=chat.reasoning_effort,
        offered=offered,
        tool_choice=parameters.tool_choice(chat),
        allowed_calls=usable(partial(parameters.allowed_calls, offered=offered), AllowedCalls()),
        legacy_functions=bool(chat.functions and not chat.tools),
        unusable=refusals[0] if refusals else None,
    )
    try:
        request.digest  # noqa: B018 # computed here, where a body that is too deep for it can still be refused
    except RecursionError:
        raise nested_too_deeply() from None
    return request


def _message(message: chat_body.ChatMessage) -> Message:
    calls = [call for call in map(_past_call, message.tool_calls or ()) if call]
    if message.function_call:
        calls.append(PastCall("", message.function_call.name, message.function_call.arguments))
    return Message(message.role, message.text, tuple(calls), message.tool_call_id, message.name)


def _past_call(call: MessageToolCall) -> PastCall | None:
    if call.function:
        return PastCall(call.id, call.function.name, call.function.arguments)
    return PastCall(call.id, call.custom.name, call.custom.input) if call.custom else None


def _offered(chat: Chat) -> Iterator[Tool]:
    """The tools that have names: a provider's tools, such as a web search, have none. `functions` preceded `tools`."""
    for number, tool in enumerate(chat.tools or ()):
        if tool.function:
            place = f"tools[{number}].function.parameters"
            yield Tool(tool.function.name, "function", tool.function.parameters, place)
        elif tool.custom:
            yield _custom(tool.custom, f"tools[{number}].custom.format")
    for number, function in enumerate((chat.functions or ()) if not chat.tools else ()):
        yield Tool(function.name, "function", function.parameters, f"functions[{number}].parameters")


def _custom(tool: Custom, place: str) -> Tool:
    """A custom tool: its input is any text, or text that a regular expression matches, or text of a Lark grammar.

    https://platform.openai.com/docs/guides/function-calling#custom-tools
    """
    grammar = (tool.format or {}).get("grammar")
    if not isinstance(grammar, dict):
        return Tool(tool.name, "custom")
    syntax, definition = grammar.get("syntax"), grammar.get("definition")
    if syntax == "regex" and isinstance(definition, str):
        pattern = {"type": "string", "pattern": f"^(?:{definition})$"}
        return Tool(tool.name, "custom", pattern, f"{place}.grammar.definition")
    return Tool(tool.name, "custom", grammar=str(syntax))
