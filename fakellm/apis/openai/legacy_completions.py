"""`POST /v1/completions`, the legacy route: a prompt is a user's message, and the reply's content is the text.

Rules answer it as they answer a chat, with the same stream, timing and fault blocks. OpenAI's spelling is the only one.
https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers.openai import OPENAI
from fakellm.apis.chat.variation import Variation
from fakellm.apis.openai.inputs import count, text_of
from fakellm.apis.openai.legacy_logprobs import TokenProbs
from fakellm.apis.openai.legacy_request import LegacyBody, legacy_body, parse, wants_nothing
from fakellm.apis.route import Route
from fakellm.base import tokenizer
from fakellm.base.seed import ALNUM
from fakellm.model.completion import Choice, Completion, Usage
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


def dialect(request: Request, seed: int) -> Dialect:
    """OpenAI's spelling, with the log probabilities that the request wants."""
    body = legacy_body(request)
    if body.logprobs is None:
        return LEGACY
    echoed = tuple(body.prompts) if body.echo else ()
    return TokenProbs(body.logprobs, echoed, seed, request.digest).on(LEGACY)


def restate(completion: Completion, request: Request, counted: bool, sent: bool) -> Completion:
    """The completion as text alone, a choice for each text that the request wants.

    counted: its usage is counted anew.
    sent: its usage is sent; else the prompts are not counted.
    """
    return _per_prompt(completion, legacy_body(request), counted, sent)


LEGACY_COMPLETIONS = Route(parse, dialect, restate, wants_nothing)


def _per_prompt(completion: Completion, body: LegacyBody, counted: bool, sent: bool) -> Completion:
    """The completion with one text a choice. A number other than the requested one is that of each prompt."""
    prompts, choices = body.prompts, completion.choices
    repeated = choices if len(choices) == body.choices else choices * len(prompts)
    usage = completion.usage
    if counted:
        usage = Usage(
            sum(map(count, prompts)) if sent else 0, sum(tokenizer.count(_text(choice)) for choice in repeated)
        )
    each = len(repeated) // len(prompts)
    echoed = [text_of(prompt) if body.echo else "" for prompt in prompts for _ in range(each)]
    texts = tuple(_plain(choice, before) for choice, before in zip(repeated, echoed, strict=True))
    return replace(completion, choices=texts, usage=usage)


def _text(choice: Choice) -> str:
    return choice.content + choice.refusal


def _plain(choice: Choice, before: str) -> Choice:
    """The choice as text alone: this route has no place for reasoning and tool calls."""
    finish = choice.finish_reason
    return Choice(before + _text(choice), finish_reason=_FINISHES.get(finish or "", finish))
