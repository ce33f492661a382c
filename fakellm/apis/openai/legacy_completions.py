"""`POST /v1/completions`, the legacy route: a prompt is a user's message, and the reply's content is the text.

Rules answer it as they answer a chat, with all that they say of stream, timing and faults. OpenAI's spelling is the
only one known. https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers.openai import OPENAI
from fakellm.apis.chat.variation import Variation
from fakellm.apis.openai.inputs import MOST, Input, count, inputs, text_of
from fakellm.apis.openai.legacy_logprobs import TokenProbs
from fakellm.apis.route import Route
from fakellm.base import tokenizer
from fakellm.base.errors import RequestError
from fakellm.base.seed import ALNUM
from fakellm.model.completion import Choice, Completion, Usage
from fakellm.model.request import Chat, Message, Request, StreamOptions, digest, typed

USUAL_TOKENS = 16
"""How many tokens a generated text has at most, where `max_tokens` does not say."""

_FINISHES = {"tool_calls": "stop", "function_call": "stop"}

LEGACY = replace(
    OPENAI,
    name="openai-legacy",
    legacy=True,
    usual=Variation(role="never").over(OPENAI.usual),
    choice_keys=("text", "index", "logprobs", "finish_reason"),
    constants={},
    usage_details=lambda usage: {},
    completion_id=lambda source: "cmpl-" + source.text(ALNUM, 29),
)


class Texts(Struct, frozen=True):
    """The body of `POST /v1/completions`, typed. `suffix` is let through: no text is made to fit it."""

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
        """Each a text or its tokens; one empty text where there is no prompt."""
        return [""] if self.prompt is None else inputs(self.prompt, "prompt")

    @property
    def choices(self) -> int:
        """How many are asked for: `n` for each prompt."""
        return (self.n or 1) * len(self.prompts)


def parse(data: bytes, headers: Mapping[str, str]) -> Request:
    """The chat that a body means: each prompt a message. Raises RequestError, naming the parameter."""
    asked, body = typed(data, Texts)
    if asked.choices > MOST:
        raise RequestError(400, f"Invalid 'n': more than {MOST} choices for all prompts.", "invalid_value", "n")
    meant = Chat(
        model=asked.model,
        messages=tuple(Message("user", text_of(prompt)) for prompt in asked.prompts),
        stream=asked.stream,
        stream_options=asked.stream_options,
        n=asked.choices,
        seed=asked.seed,
        max_tokens=asked.max_tokens or USUAL_TOKENS,
        stop=asked.stop,
    )
    return Request(meant, body, digest(body), headers)


def wants_nothing(request: Request) -> bool:
    """Whether `max_tokens` leaves a generated text no token."""
    return _asked(request).max_tokens == 0


def dialect(request: Request, seed: int) -> Dialect:
    """OpenAI's spelling, with the log probabilities that the request asks for."""
    asked = _asked(request)
    if asked.logprobs is None:
        return LEGACY
    return TokenProbs(asked.logprobs, bool(asked.echo), seed, request.digest).on(LEGACY)


def restate(completion: Completion, request: Request, counted: bool) -> Completion:
    """The completion as text alone, a choice for each text that the request asks for."""
    return _said(completion, _asked(request), counted)


LEGACY_COMPLETIONS = Route(parse, dialect, restate, wants_nothing)


def _asked(request: Request) -> Texts:
    return msgspec.convert(request.body, Texts)


def _said(completion: Completion, asked: Texts, counted: bool) -> Completion:
    """The completion of one text a choice. One that has not as many choices as are asked for is said to each prompt."""
    prompts, choices = asked.prompts, completion.choices
    said = choices if len(choices) == asked.choices else choices * len(prompts)
    usage = completion.usage
    if counted:
        usage = Usage(sum(map(count, prompts)), sum(tokenizer.count(_text(choice)) for choice in said))
    each = len(said) // len(prompts)
    echoed = [text_of(prompt) if asked.echo else "" for prompt in prompts for _ in range(each)]
    texts = tuple(_plain(choice, before) for choice, before in zip(said, echoed, strict=True))
    return replace(completion, choices=texts, usage=usage)


def _text(choice: Choice) -> str:
    return choice.content + choice.refusal


def _plain(choice: Choice, before: str) -> Choice:
    """The choice as text alone: reasoning and calls of tools have no place on this route."""
    finish = choice.finish_reason
    return Choice(before + _text(choice), finish_reason=_FINISHES.get(finish or "", finish))
