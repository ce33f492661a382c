"""The completion of a reply: what its rule sets, or what is generated. Knows no API by name and no bytes."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from fakellm import generate
from fakellm.apis.protocol import Provider
from fakellm.apis.route import CHAT, Route
from fakellm.base import tokenizer
from fakellm.generate import Generate
from fakellm.model.blocks import Choice, Completion, Stop, Thinking, ToolCall, Usage
from fakellm.model.request import Request
from fakellm.scenarios.reply import Reply, ReplyChoice, choice_blocks
from fakellm.scenarios.usage import core_usage


def complete(reply: Reply, request: Request, seed: int, provider: Provider) -> Completion:
    """The completion of `reply` to `request`. The API draws call ids that the reply does not set.

    Raises RequestError if the reply is generated and the request cannot be honoured.
    """
    completion = answered(reply, request, seed, provider)
    return with_prompt(completion, request) if reply.usage is UNSET else completion


def answered(reply: Reply, request: Request, seed: int, provider: Provider) -> Completion:
    """The completion, in which only the tokens of the answer are counted if the reply sets no usage."""
    if reply.generate:
        choices = generate.answers(reply.generate, request, seed, provider)
    else:
        choices = tuple(_choice(choice, provider) for choice in reply.choices or (reply,))
    if reply.usage is UNSET:
        usage: Usage | None = _counted(choices, provider)
    else:
        usage = core_usage(reply.usage) if reply.usage else None
    if reply.generate and provider.hides_reasoning:
        choices = tuple(map(_without_reasoning, choices))
    return Completion(choices, usage)


def with_prompt(completion: Completion, request: Request) -> Completion:
    """The completion with the tokens of the prompt counted. That takes time: a prompt may have a megabyte."""
    usage = completion.usage
    if usage is None:
        return completion
    return replace(completion, usage=replace(usage, input=sum(3 + tokenizer.count(text) for text in request.texts)))


def values_of(reply: Reply) -> dict[str, Any]:
    """The values around a completion that the reply sets: its id, time, model and fingerprint."""
    named = {"id": reply.id, "created": reply.created, "model": reply.model}
    values: dict[str, Any] = {key: value for key, value in named.items() if value}
    if reply.system_fingerprint is not UNSET:
        values["system_fingerprint"] = reply.system_fingerprint
    return values


def generated(request: Request, route: Route = CHAT) -> Reply:
    """The reply to a request that no rule matches: the seed and the request decide everything."""
    if route.allows_no_tokens(request):
        return Reply(choices=(ReplyChoice(finish_reason="length"),) * request.choices)
    return GENERATED


GENERATED = Reply(generate=Generate())
"""A reply in which everything is drawn."""


_OF_CLIENTS = ("function", "custom")
"""The kinds of calls that a client runs; after one, it is its turn."""


def _choice(choice: ReplyChoice, provider: Provider) -> Choice:
    found = choice_blocks(choice)
    finish = choice.finish_reason
    if finish is UNSET:
        calls = any(isinstance(block, ToolCall) and block.kind in _OF_CLIENTS for block in found)
        finish = ("tool_calls" if calls else "stop") if provider.finishes else None
    return Choice(found, None if finish is None else Stop(finish, choice.own))


def _without_reasoning(choice: Choice) -> Choice:
    return replace(choice, blocks=tuple(block for block in choice.blocks if not isinstance(block, Thinking)))


def _counted(choices: tuple[Choice, ...], provider: Provider) -> Usage:
    """Usage as a tokenizer would count it, roughly, without the prompt."""
    reasoning = sum(tokenizer.count(choice.reasoning) for choice in choices)
    texts = [choice.content + choice.refusal for choice in choices]
    texts += [call.name + call.arguments for choice in choices for call in choice.tool_calls]
    output = sum(tokenizer.count(text) for text in texts) + (0 if provider.output_excludes_reasoning else reasoning)
    return Usage(0, output, reasoning=reasoning)
