"""The types of the body of `POST /v1/responses`.

Parameters that OpenAI documents have types, so that a wrong type is refused as OpenAI refuses it; all others are
accepted, because gateways and local servers add their own.
https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from fakellm.base.json_text import JSON

Probability = Annotated[float, Meta(ge=0, le=1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class ResponsesTool(Struct, frozen=True):
    """A tool on offer: a function, a custom tool, or one of the provider's."""

    type: str = "function"
    name: str | None = None
    parameters: JSON | None = None
    format: JSON | None = None
    strict: bool | None = None


class ResponseStreamOptions(Struct, frozen=True):
    """The `stream_options` of a request."""

    include_obfuscation: bool | None = None


class ReasoningOptions(Struct, frozen=True):
    """The `reasoning` of a request."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class TextOptions(Struct, frozen=True):
    """The `text` of a request."""

    format: JSON | None = None
    verbosity: str | None = None


class ResponsesBody(Struct, frozen=True):
    """The body of `POST /v1/responses`, typed."""

    model: str | None = None
    input: str | tuple[JSON, ...] | None = None
    instructions: str | tuple[JSON, ...] | None = None
    tools: tuple[ResponsesTool, ...] | None = None
    tool_choice: str | JSON | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    reasoning: ReasoningOptions | None = None
    text: TextOptions | None = None
    include: tuple[str, ...] | None = None
    previous_response_id: str | None = None
    conversation: str | JSON | None = None
    prompt: JSON | None = None
    store: bool | None = None
    background: bool | None = None
    truncation: str | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
