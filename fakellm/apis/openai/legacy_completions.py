"""`POST /v1/completions`, the legacy route: a prompt is a user's message, and the reply's content is the text.

Rules answer it as they answer a chat, with the same stream, timing and fault blocks. The only spelling is OpenAI's.
https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.api import ChatApi
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.habits import ChatHabits
from fakellm.apis.chat.meaning import chat_choice, finish_word
from fakellm.apis.chat.providers.openai import OPENAI
from fakellm.apis.openai import legacy_request
from fakellm.apis.openai.inputs import count, text_of
from fakellm.apis.openai.legacy_logprobs import TokenProbs
from fakellm.apis.openai.legacy_request import LegacyBody, legacy_body
from fakellm.apis.variation import Variation
from fakellm.base import tokenizer
from fakellm.base.seed import ALNUM
from fakellm.model.blocks import Choice, Completion, Usage
from fakellm.model.request import Request

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


class LegacyCompletions(ChatApi):
    """`POST /v1/completions`: always in one dialect, whatever the rule's, with the log probabilities of this route."""

    dialects: Collection[str] = ()
    stream_keys: Collection[str] = frozenset(ChatApi.stream_keys) - {"calls", "reasoning"}
    restates = True

    def usual(self, dialect: str | None) -> Variation:
        return LEGACY.usual

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        body = super().example((), choices)
        del body["messages"]
        return body | {"prompt": "Hello"}

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        return legacy_request.parse(body, headers)

    def validate(self, request: Request, habits: ChatHabits) -> None:
        """Everything that OpenAI refuses is refused when the request is parsed."""

    def allows_no_tokens(self, request: Request) -> bool:
        return legacy_body(request).max_tokens == 0

    def dialect(self, name: str | None, request: Request, seed: int) -> Dialect:
        body = legacy_body(request)
        if body.logprobs is None:
            return LEGACY
        return TokenProbs(body.logprobs, tuple(body.prompts) if body.echo else (), seed, request.digest).on(LEGACY)

    def shared(self, request: Request) -> Hashable:
        return None if legacy_body(request).logprobs is not None else super().shared(request)

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        return _restated(completion, legacy_body(request), counted)

    def expressible(self, completion: Completion, habits: ChatHabits, whole: bool = False) -> Completion:
        choices = (
            chat_choice(choice.content, finish_reason=finish_word(choice.finish)) for choice in completion.choices
        )
        return super().expressible(replace(completion, choices=tuple(choices)), habits, whole)


LEGACY_COMPLETIONS = LegacyCompletions()


def _restated(completion: Completion, body: LegacyBody, counted: bool) -> Completion:
    """The completion with one text per choice. If its number of choices is not the requested one, each prompt gets all
    of them."""
    prompts, choices = body.prompts, completion.choices
    repeated = choices if len(choices) == body.choices else choices * len(prompts)
    usage = completion.usage
    if counted and usage:
        tokens = sum(map(count, prompts)) if usage.input else 0  # without the prompt's tokens, no usage is sent
        usage = Usage(tokens, sum(tokenizer.count(_text(choice)) for choice in repeated))
    each = len(repeated) // len(prompts)
    echoed = [text_of(prompt) if body.echo else "" for prompt in prompts for _ in range(each)]
    texts = tuple(_plain(choice, before) for choice, before in zip(repeated, echoed, strict=True))
    return replace(completion, choices=texts, usage=usage)


def _text(choice: Choice) -> str:
    return choice.content + choice.refusal


def _plain(choice: Choice, before: str) -> Choice:
    """The choice as text only: this route cannot express reasoning and tool calls."""
    finish = finish_word(choice.finish)
    return chat_choice(before + _text(choice), finish_reason=_FINISHES.get(finish or "", finish))
