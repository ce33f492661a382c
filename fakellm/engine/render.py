"""A rule and a request to the plan of a response: the staircase downwards. A pure function of rule, request and seed.

Everything that a reply leaves open is drawn here, from the seed and the request's digest and from nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from fakellm import generate
from fakellm.apis.chat.chunk import tokens_in
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.divide import divide
from fakellm.apis.chat.functions import with_functions
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.reader import read_chunk
from fakellm.apis.chat.variation import Variation
from fakellm.apis.chat.writer import obscured, write_body, write_chunk
from fakellm.apis.route import CHAT, Route
from fakellm.base import tokenizer
from fakellm.base.errors import StreamError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.faults import ChunkFault, CompletionFault, EventFault, Fault, ResponseFault, Stream, Whole, WireFault
from fakellm.generate import Generate
from fakellm.model.completion import Choice, Completion, ToolCall, Usage
from fakellm.model.request import Request
from fakellm.model.think_tags import aloud
from fakellm.scenarios.scenario import Reply, ReplyChoice, Rule
from fakellm.wire.frame_edits import patched
from fakellm.wire.framing import Framing, frame
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.sse import Decoder, Event
from fakellm.wire.timing import Timing, pace
from fakellm.wire.transfer import Transfer, carry, due

DONE = Event("[DONE]")


def render(
    rule: Rule,
    request: Request,
    seed: int,
    route: Route = CHAT,
) -> Plan:
    """The response to `request` by a rule that has a name and a dialect.

    One that is not streamed is due when the last frame of its stream, with usage, would be: the model takes as long.
    """
    dialect = route.dialect(request, seed) or DIALECTS[rule.dialect or "openai"]
    streamed = bool(request.chat.stream)
    fault, source = rule.fault_in(streamed), Source(seed, request.digest, "fault")
    if isinstance(fault, ResponseFault):
        return fault.respond(dialect, streamed)
    if request.chat.functions and not request.chat.tools:
        dialect = with_functions(dialect)
    counted = rule.reply.usage is UNSET
    completion = route.restate(complete(rule.reply, request, seed, dialect), request, counted)
    if isinstance(fault, CompletionFault):
        completion = fault.spoil(completion, source)
    variation = rule.stream.over(dialect.usual)
    transfer = variation.transfer or Transfer()

    def frames(variation: Variation) -> tuple[Frame, ...]:
        return stream(completion, variation, dialect, rule.timing, Source(seed, request.digest, "provider"), fault)

    if (streamed and not isinstance(fault, Whole)) or isinstance(fault, Stream):
        kind = dialect.stream_type if transfer.content_type is UNSET else transfer.content_type
        headers = ((("Content-Type", kind),) if kind is not None else ()) + (("Cache-Control", "no-cache"),)
        plan = Plan(200, headers, frames(_as_asked(rule.stream, request, dialect)), delimited="chunked")
    else:
        delay = sum(each.delay for each in frames(rule.stream)) if rule.timing != Timing() else 0.0
        whole = aloud(completion) if variation.reasoning == "think" else completion
        body = write_body(dialect, whole, Source(seed, request.digest, "provider"), transfer.margins)
        plan = Plan(200, (("Content-Type", dialect.body_type),), due(body, delay, rule.timing.step))
    if rule.patch:
        plan = msgspec.structs.replace(plan, frames=patched(plan.frames, rule.patch))
    plan = carry(_headed(plan, rule.reply.headers), transfer)
    return fault.spoil(plan, source) if isinstance(fault, WireFault) else plan


def _headed(plan: Plan, headers: Mapping[str, str]) -> Plan:
    """The plan with these headers, in place of those with the same name."""
    ours = {name.lower() for name in headers}
    kept = (header for header in plan.headers if header[0].lower() not in ours)
    return msgspec.structs.replace(plan, headers=(*kept, *headers.items()))


def stream(
    completion: Completion,
    variation: Variation,
    dialect: Dialect,
    timing: Timing,
    source: Source,
    fault: Fault | None = None,
) -> tuple[Frame, ...]:
    """The frames of a stream that says `completion`, one an event and one for each block beside them.

    `source` draws random cuts, the numbers that only the provider knows, what varies in the timing, and where a fault
    strikes.
    """
    variation = variation.over(dialect.usual)
    framing = variation.sse or Framing()
    chunks = dialect.decorate(divide(completion, variation, source), source)
    if isinstance(fault, ChunkFault):
        chunks = fault.spoil(chunks, source)
    if variation.obfuscation:
        chunks = tuple(obscured(dialect, chunk, variation, number, source) for number, chunk in enumerate(chunks))
    events = [Event(write_chunk(dialect, chunk, variation, number)) for number, chunk in enumerate(chunks)]
    done = [] if variation.done is False or (isinstance(fault, ChunkFault) and not fault.done) else [DONE]
    ending = (*done, *map(Event, framing.after))
    pieces = frame((*events, *ending), framing)
    if isinstance(fault, EventFault):
        end = frame(ending, msgspec.structs.replace(framing, insert=(), bom=False))
        pieces = list(fault.spoil(tuple(frame(events, framing)), tuple(end), source, dialect))
    said = [_tokens(piece, dialect) for piece in pieces] if timing.tokens_per_second else []
    return pace(pieces, timing, source, said)


def _tokens(piece: bytes, dialect: Dialect) -> int:
    """How many tokens of text a reader finds in a piece of the stream; none in what is no chunk."""
    try:
        return sum(tokens_in(read_chunk(dialect, event.data)) for event in Decoder().feed(piece))
    except StreamError:
        return 0


def _as_asked(variation: Variation, request: Request, dialect: Dialect) -> Variation:
    """The variation with obfuscation and usage as they were asked for, where it says nothing of them.

    Usage that comes unasked with the finish has no chunk of its own, and the other chunks do not speak of it.
    """
    if variation.obfuscation is None and request.wants_obfuscation and dialect.obfuscates:
        variation = msgspec.structs.replace(variation, obfuscation=True)
    if variation.usage is not None or request.wants_usage or dialect.usage_unasked == "usual":
        return variation
    if dialect.usage_unasked == "finish":
        return msgspec.structs.replace(variation, usage="finish", usage_before=variation.usage_before or "absent")
    return msgspec.structs.replace(variation, usage="none")


def complete(reply: Reply, request: Request, seed: int, dialect: Dialect) -> Completion:
    """The completion that `reply` says to `request`: its gaps filled in.

    Raises RequestError where it is generated and the request cannot be honoured.
    """
    model = reply.model or request.chat.model
    if reply.generate:
        choices = generate.answers(reply.generate, request, seed, dialect)
    else:
        choices = tuple(
            _choice(choice, index, request, seed, dialect) for index, choice in enumerate(reply.choices or (reply,))
        )
    usage = _counted(choices, request, dialect) if reply.usage is UNSET else reply.usage
    if reply.generate and dialect.hides_reasoning:
        choices = tuple(msgspec.structs.replace(choice, reasoning="") for choice in choices)
    fingerprint = reply.system_fingerprint
    if fingerprint is UNSET:
        fingerprint = dialect.fingerprint(Source(seed, model, "system_fingerprint"))
    return Completion(
        id=reply.id or dialect.completion_id(Source(seed, request.digest, "id")),
        created=reply.created or dialect.created(Source(seed, request.digest, "created")),
        model=model,
        choices=choices,
        usage=usage,
        system_fingerprint=fingerprint,
    )


def generated(request: Request, route: Route = CHAT) -> Reply:
    """A reply to a request that no rule answers: the seed and the request decide everything."""
    if route.wants_nothing(request):
        return Reply(choices=(ReplyChoice(finish_reason="length"),) * (request.chat.n or 1))
    return Reply(generate=Generate())


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
        finish = ("tool_calls" if calls else "stop") if dialect.finishes else None
    return Choice(
        choice.content,
        choice.reasoning,
        choice.refusal,
        calls,
        finish,
        choice.logprobs,
        choice.refusal_logprobs,
        choice.annotations,
    )


def _counted(choices: tuple[Choice, ...], request: Request, dialect: Dialect) -> Usage:
    """Usage as a tokenizer would count it, roughly: each message of the prompt costs three tokens besides its text."""
    prompt = sum(3 + tokenizer.count(message.text) for message in request.chat.messages)
    reasoning = sum(tokenizer.count(choice.reasoning) for choice in choices)
    said = [choice.content + choice.refusal for choice in choices]
    said += [call.name + call.arguments for choice in choices for call in choice.tool_calls]
    completion = sum(tokenizer.count(text) for text in said) + (0 if dialect.reasoning_apart else reasoning)
    return Usage(prompt=prompt, completion=completion, reasoning=reasoning)
