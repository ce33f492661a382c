"""The types of a chat completion's request body.

Parameters that OpenAI documents have types, so that a wrong type is refused as OpenAI refuses it; all others are
accepted, because gateways and local servers add their own. `accepts` handles what only some providers refuse.
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct


class Part(Struct, frozen=True):
    """One part of a message's content."""

    type: str
    text: str | None = None


class FunctionCall(Struct, frozen=True):
    """The function of a tool call, and its arguments as JSON text."""

    name: str
    arguments: str = ""


class CustomCall(Struct, frozen=True):
    """The custom tool of a call, and its input, which is any text."""

    name: str
    input: str = ""


class MessageToolCall(Struct, frozen=True):
    """A tool call in an assistant's message."""

    id: str = ""
    type: str = "function"
    function: FunctionCall | None = None
    custom: CustomCall | None = None


class ChatMessage(Struct, frozen=True):
    """One message of the conversation, whatever its role."""

    role: str
    content: str | tuple[Part, ...] | None = None
    name: str | None = None
    tool_calls: tuple[MessageToolCall, ...] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None

    @property
    def text(self) -> str:
        """The content as one text, whether it was sent as a string or as parts."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text or "" for part in self.content or ())


class Function(Struct, frozen=True):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Custom(Struct, frozen=True):
    """A custom tool that the model may call: its input is any text, or text of a `format`."""

    name: str
    description: str | None = None
    format: dict[str, Any] | None = None


class ChatTool(Struct, frozen=True):
    """A tool on offer."""

    type: str = "function"
    function: Function | None = None
    custom: Custom | None = None


class StreamOptions(Struct, frozen=True):
    """The `stream_options` of a request."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Chat(Struct, frozen=True):
    """The body of `POST /v1/chat/completions`, typed."""

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ChatTool, ...] | None = None
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
