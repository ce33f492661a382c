"""What was asked, free of dialect. Owns the request's types and what is refused; knows nothing of rules or replies.

Every field that OpenAI documents is typed, so that a wrong type is refused as OpenAI would; what it does not document
is let through (gateways and local servers add their own).
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from fakellm.base.errors import RequestError
from fakellm.base.validation import Problem, dotted, problems

T = TypeVar("T")

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class Part(Struct, frozen=True):
    type: str
    text: str | None = None


class FunctionCall(Struct, frozen=True):
    name: str
    arguments: str = ""


class MessageToolCall(Struct, frozen=True):
    id: str
    type: str = "function"
    function: FunctionCall | None = None


class Message(Struct, frozen=True):
    role: Role
    content: str | tuple[Part, ...] | None = None
    name: str | None = None
    tool_calls: tuple[MessageToolCall, ...] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content as one text, whether it was sent as a string or as parts."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text or "" for part in self.content or ())


class Function(Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct, frozen=True):
    type: str
    function: Function | None = None


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Chat(Struct, frozen=True):
    """The body of `POST /v1/chat/completions`, typed."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    functions: tuple[Function, ...] | None = None
    function_call: str | dict[str, Any] | None = None
    modalities: tuple[str, ...] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class Request(Struct, frozen=True, dict=True):
    """A request that was understood: typed, and as it was sent. The function of a scripted reply is given one.

    `digest` names what was asked: equal for bodies that differ in white space, key order or whether a stream is wanted.
    `headers` are those that rules look at, with their names in lower case; all of them where a reply is a function.
    """

    chat: Chat
    body: dict[str, Any]
    digest: str
    headers: Mapping[str, str] = {}

    @cached_property
    def turn(self) -> int:
        """1 for the first reply of a conversation: the assistant's messages so far, plus one."""
        return 1 + sum(message.role == "assistant" for message in self.chat.messages)

    @cached_property
    def user(self) -> str:
        """The text of the last message of the user; empty where there is none."""
        return next((message.text for message in reversed(self.chat.messages) if message.role == "user"), "")

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text of each message."""
        return tuple(message.text for message in self.chat.messages)

    @cached_property
    def system(self) -> str:
        """What the system and the developer say, message by message, a line end between."""
        return "\n".join(message.text for message in self.chat.messages if message.role in ("system", "developer"))

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """The names of the functions offered."""
        return tuple(tool.function.name for tool in self.chat.tools or () if tool.function)

    @cached_property
    def tool_choice(self) -> str:
        """`none`, `auto`, `required`, or the name of the function that must be called.

        Where it is not said it is `auto`, or `none` where no tools are offered, as OpenAI's reference has it.
        """
        choice = self.chat.tool_choice
        if isinstance(choice, dict):
            named = choice.get(str(choice.get("type")), choice)
            return str(named.get("name") or choice.get("type")) if isinstance(named, dict) else str(choice.get("type"))
        return choice or ("auto" if self.chat.tools else "none")

    @cached_property
    def response_format(self) -> tuple[str, ...]:
        """Its type, `text` where it is not said, and the name of the schema where there is one."""
        asked = self.chat.response_format or {"type": "text"}
        schema = asked.get("json_schema")
        return tuple(str(name) for name in (asked.get("type"), isinstance(schema, dict) and schema.get("name")) if name)

    @cached_property
    def results(self) -> dict[str, str]:
        """What tools have answered, by the id of the call and by the name of the function; of several the last."""
        names = {
            call.id: call.function.name
            for message in self.chat.messages
            for call in message.tool_calls or ()
            if call.function
        }
        found: dict[str, str] = {}
        for message in self.chat.messages:
            if message.role == "tool" and message.tool_call_id:
                found[message.tool_call_id] = message.text
                found[message.name or names.get(message.tool_call_id, message.tool_call_id)] = message.text
            elif message.role == "function" and message.name:
                found[message.name] = message.text
        return found

    @cached_property
    def arguments(self) -> dict[str, str]:
        """What the assistant has called functions with, by the name of the function; of several calls the last."""
        calls = (call.function for message in self.chat.messages for call in message.tool_calls or ())
        return {function.name: function.arguments for function in calls if function}

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is asked to carry usage (`stream_options.include_usage`)."""
        return bool(self.chat.stream_options and self.chat.stream_options.include_usage)

    @property
    def wants_obfuscation(self) -> bool:
        """Whether it asks for text that hides the lengths of chunks (`stream_options.include_obfuscation`)."""
        return bool(self.chat.stream_options and self.chat.stream_options.include_obfuscation)


def parse(data: bytes, headers: Mapping[str, str] | None = None) -> Request:
    """The request in an HTTP body, with these of its headers.

    Raises RequestError, naming the parameter, when it is none.
    """
    chat, body = typed(data, Chat)
    if not chat.messages:
        raise empty("messages")
    return Request(chat, body, digest(body), headers or {})


def typed(data: bytes, kind: type[T]) -> tuple[T, dict[str, Any]]:
    """An HTTP body as a value of this kind, and as it was sent. Raises RequestError, naming the parameter.

    A `model` that is given has a name, whatever the kind.
    """
    body = _json(data)
    try:
        asked = msgspec.convert(body, kind)
    except msgspec.ValidationError:
        raise _refusal(body, next(problems(body, kind))) from None
    if body.get("model") == "":
        raise RequestError(400, "Invalid 'model': expected the name of a model, got ''.", "invalid_value", "model")
    return asked, body


def empty(param: str) -> RequestError:
    """The refusal of an array that must not be empty."""
    message = f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array."
    return RequestError(400, message, "empty_array", param)


def _json(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        message = f"The body of your request is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}."
        raise RequestError(400, message, "invalid_utf8") from None
    except RecursionError:
        raise RequestError(400, "The JSON body of your request is nested too deeply.", "invalid_json") from None
    except ValueError as error:  # JSONDecodeError, a constant, a number with more digits than Python takes
        message = f"We could not parse the JSON body of your request: {error}."
        raise RequestError(400, message, "invalid_json") from None
    if not isinstance(body, dict):
        message = f"Invalid body: expected a JSON object, got {_name(body)}."
        raise RequestError(400, message, "invalid_type")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _name(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _refusal(body: dict[str, Any], problem: Problem) -> RequestError:
    param = dotted(problem.path)
    if problem.kind == "missing":
        return RequestError(400, f"Missing required parameter: '{param}'.", "missing_required_parameter", param)
    if problem.kind == "type":
        return RequestError(400, f"Invalid type for '{param}': {problem.message}.", "invalid_type", param)
    return RequestError(400, f"Invalid value for '{param}': {problem.message}.", "invalid_value", param)


def digest(body: dict[str, Any]) -> str:
    """What names a request: see Request."""
    asked = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    return blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()
