"""A rule and a request to the plan of a response: the staircase downwards. A pure function of rule, request and seed.

Everything that a reply leaves open is drawn here, from the seed and the request's digest and from nothing else.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from fakellm import generate, sse, tokens
from fakellm.completion import Choice, Completion, ToolCall, Usage
from fakellm.dialects import DIALECTS
from fakellm.dialects.dialect import Dialect, dumps
from fakellm.dialects.write import write_body, write_chunk
from fakellm.divide import divide
from fakellm.request import Request
from fakellm.scenario import Reply, ReplyChoice, Rule
from fakellm.seed import Source
from fakellm.sse import Event
from fakellm.variation import Variation
from fakellm.wire import Frame, Plan, Timing, pace

DONE = Event("[DONE]")

# `created` lies between 2023-11-14 and 2026-12-31: a plausible past, and no clock is read.
_CREATED = (1_700_000_000, 1_798_675_200)


def render(rule: Rule, request: Request, seed: int) -> Plan:
    """The response to `request` by a rule that has a name and a dialect."""
    dialect = DIALECTS[rule.dialect or "openai"]
    completion = complete(rule.reply, request, seed, dialect)
    source = Source(seed, request.digest, "provider")
    if request.chat.stream:
        frames = stream(completion, _as_asked(rule.stream, request, dialect), dialect, rule.timing, source)
        headers = (("Content-Type", dialect.stream_type), ("Cache-Control", "no-cache"))
        return Plan(200, headers, frames, chunked=True)
    body = Frame(write_body(dialect, completion, source), rule.timing.first)
    return Plan(200, (("Content-Type", dialect.body_type),), (body,))


def stream(
    completion: Completion, variation: Variation, dialect: Dialect, timing: Timing, source: Source
) -> tuple[Frame, ...]:
    """The frames of a stream that says `completion`, one an event."""
    variation = variation.over(dialect.usual)
    chunks = dialect.decorate(divide(completion, variation, source), source)
    events = [Event(write_chunk(dialect, chunk, variation)) for chunk in chunks]
    done = [] if variation.done is False else [DONE]
    return pace((sse.encode(event) for event in (*events, *done)), timing)


def _as_asked(variation: Variation, request: Request, dialect: Dialect) -> Variation:
    """The variation with no usage, where it says nothing of usage and none was asked for."""
    if variation.usage is None and not request.wants_usage and not dialect.usage_unasked:
        return msgspec.structs.replace(variation, usage="none")
    return variation


def complete(reply: Reply, request: Request, seed: int, dialect: Dialect) -> Completion:
    """The completion that `reply` says to `request`: its gaps filled in."""
    model = reply.model or request.chat.model
    choices = tuple(
        _choice(choice, index, request, seed, dialect) for index, choice in enumerate(reply.choices or (reply,))
    )
    usage = _counted(choices, request, dialect) if reply.usage is UNSET else reply.usage
    fingerprint = reply.system_fingerprint
    if fingerprint is UNSET:
        fingerprint = dialect.fingerprint(Source(seed, model, "system_fingerprint"))
    return Completion(
        id=reply.id or dialect.completion_id(Source(seed, request.digest, "id")),
        created=reply.created or Source(seed, request.digest, "created").between(*_CREATED),
        model=model,
        choices=choices,
        usage=usage,
        system_fingerprint=fingerprint,
    )


def generated(request: Request, seed: int) -> Reply:
    """A reply to a request that no rule answers: as many choices as it asks for, a few sentences each."""
    sources = [Source(seed, request.digest, "generate", index) for index in range(max(request.chat.n or 1, 1))]
    choices = tuple(ReplyChoice(content=generate.text(source, source.between(2, 4))) for source in sources)
    return Reply(choices=choices)


def _choice(choice: ReplyChoice, index: int, request: Request, seed: int, dialect: Dialect) -> Choice:
    calls = tuple(
        ToolCall(
            id=call.id or dialect.call_id(Source(seed, request.digest, "call", index, number)),
            name=call.name,
            arguments=call.arguments if isinstance(call.arguments, str) else dumps(call.arguments),
        )
        for number, call in enumerate(choice.tool_calls)
    )
    finish = choice.finish_reason
    if finish is UNSET:
        finish = "tool_calls" if calls else "stop"
    return Choice(choice.content, choice.reasoning, choice.refusal, calls, finish)


def _counted(choices: tuple[Choice, ...], request: Request, dialect: Dialect) -> Usage:
    """Usage as a tokenizer would count it, roughly: each message of the prompt costs three tokens besides its text."""
    prompt = sum(3 + tokens.count(message.text) for message in request.chat.messages)
    reasoning = sum(tokens.count(choice.reasoning) for choice in choices)
    said = [choice.content + choice.refusal for choice in choices]
    said += [call.name + call.arguments for choice in choices for call in choice.tool_calls]
    completion = sum(tokens.count(text) for text in said) + (0 if dialect.reasoning_apart else reasoning)
    return Usage(prompt=prompt, completion=completion, reasoning=reasoning)
