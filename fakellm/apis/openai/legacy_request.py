"""Parses the body of `POST /v1/completions`: each prompt becomes a user's message.

https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from fakellm.apis.chat.requests.chat_body import Chat, ChatMessage, StreamOptions
from fakellm.apis.chat.requests.parse import neutral
from fakellm.apis.openai.inputs import MAX_INPUTS, Input, inputs, text_of
from fakellm.apis.openai.request_body import typed
from fakellm.base.errors import RequestError
from fakellm.model.request import Request

DEFAULT_MAX_TOKENS = 16
"""The most tokens of a generated text if the request does not set `max_tokens`."""


class LegacyBody(Struct, frozen=True):
    """The body of `POST /v1/completions`, typed. `suffix` is accepted and has no effect."""

    model: str
    prompt: Input | None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    best_of: Annotated[int, Meta(ge=0, le=20)] | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    stop: str | tuple[str, ...] | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None

    @property
    def prompts(self) -> list[str | tuple[int, ...]]:
        """Each prompt as a text or as token ids; one empty text if there is no prompt."""
        return [""] if self.prompt is None else inputs(self.prompt, "prompt")

    @property
    def choices(self) -> int:
        """How many choices are requested: `n` for each prompt."""
        return (self.n or 1) * len(self.prompts)


def parse(data: bytes, headers: Mapping[str, str]) -> Request:
    """The request in a body. Raises RequestError, which names the parameter."""
    legacy, body = typed(data, LegacyBody)
    if legacy.choices > MAX_INPUTS:
        raise RequestError(400, f"Invalid 'n': more than {MAX_INPUTS} choices for all prompts.", "invalid_value", "n")
    chat = Chat(
        model=legacy.model,
        messages=tuple(ChatMessage("user", text_of(prompt)) for prompt in legacy.prompts),
        stream=legacy.stream,
        stream_options=legacy.stream_options,
        n=legacy.choices,
        seed=legacy.seed,
        max_tokens=legacy.max_tokens or DEFAULT_MAX_TOKENS,
        stop=legacy.stop,
    )
    return neutral(chat, body, headers, "completions")


def legacy_body(request: Request) -> LegacyBody:
    """The body of a request that `parse` returned, typed."""
    return msgspec.convert(request.body, LegacyBody)
