"""A rule and a request to the plan of a response: the staircase downwards. A pure function of rule, request and seed.

Everything that a reply leaves open is drawn here, from the seed and the request's digest and from nothing else.
"""

from __future__ import annotations

from msgspec import UNSET

from fakellm import generate, sse, tokens
from fakellm.completion import Choice, Completion, ToolCall, Usage
from fakellm.dialects import DIALECTS
from fakellm.dialects.dialect import Dialect, dumps
from fakellm.dialects.write import write_body, write_chunk
from fakellm.faults import ChunkFault, CompletionFault, EventFault, Fault, ResponseFault, Stream, Whole, WireFault
from fakellm.request import Request
from fakellm.scenario import Reply, ReplyChoice, Rule
from fakellm.seed import HEX, Source
from fakellm.sse import Event
from fakellm.variation import Variation, divide
from fakellm.wire import Frame, Plan, Timing, pace

DONE = Event("[DONE]")

# `created` lies between 2023-11-14 and 2026-12-31: a plausible past, and no clock is read.
_CREATED = (1_700_000_000, 1_798_675_200)


def render(rule: Rule, request: Request, seed: int) -> Plan:
    """The response to `request` by a rule that has a name and a dialect."""
    dialect = DIALECTS[rule.dialect or "openai"]
    streamed = bool(request.chat.stream)
    fault, source = rule.fault_in(streamed), Source(seed, request.digest, "fault")
    if isinstance(fault, ResponseFault):
        return fault.respond(dialect, streamed)
    completion = complete(rule.reply, request, seed, dialect)
    if isinstance(fault, CompletionFault):
        completion = fault.spoil(completion, source)
    if (streamed and not isinstance(fault, Whole)) or isinstance(fault, Stream):
        frames = stream(completion, rule.stream, dialect, rule.timing, fault, source)
        headers = (("Content-Type", dialect.stream_type), ("Cache-Control", "no-cache"))
        plan = Plan(200, headers, frames, chunked=True)
    else:
        body = Frame(write_body(dialect, completion), rule.timing.first)
        plan = Plan(200, (("Content-Type", "application/json"),), (body,))
    return fault.spoil(plan, source) if isinstance(fault, WireFault) else plan


def stream(
    completion: Completion,
    variation: Variation,
    dialect: Dialect,
    timing: Timing,
    fault: Fault | None = None,
    source: Source | None = None,
) -> tuple[Frame, ...]:
    """The frames of a stream that says `completion`, one an event; a fault draws from `source`."""
    source = source or Source(0)
    chunks = divide(completion, variation.over(dialect.usual))
    if isinstance(fault, ChunkFault):
        chunks = fault.spoil(chunks, source)
    pieces = tuple(sse.encode(Event(write_chunk(dialect, chunk))) for chunk in chunks)
    done = (sse.encode(DONE),) if not isinstance(fault, ChunkFault) or fault.done else ()
    pieces = fault.spoil(pieces, done, source) if isinstance(fault, EventFault) else (*pieces, *done)
    return pace(pieces, timing)


def complete(reply: Reply, request: Request, seed: int, dialect: Dialect) -> Completion:
    """The completion that `reply` says to `request`: its gaps filled in, usage only where it was asked for."""
    model = reply.model or request.chat.model
    choices = tuple(
        _choice(choice, index, request, seed, dialect) for index, choice in enumerate(reply.choices or (reply,))
    )
    usage = _counted(choices, request, dialect) if reply.usage is UNSET else reply.usage
    fingerprint = reply.system_fingerprint
    if fingerprint is UNSET:
        fingerprint = "fp_" + Source(seed, model, "system_fingerprint").text(HEX, 10)
    return Completion(
        id=reply.id or dialect.completion_id(Source(seed, request.digest, "id")),
        created=reply.created or Source(seed, request.digest, "created").between(*_CREATED),
        model=model,
        choices=choices,
        usage=usage if request.wants_usage else None,
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
