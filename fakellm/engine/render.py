"""Renders the plan of a response, as a pure function of rule, request and seed: completion, batches, events, frames.

Everything that a reply does not set is drawn here or by the API, only from the seed and the request's digest. Knows no
API by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from fakellm import generate
from fakellm.apis.protocol import Answer, Provider, Settings
from fakellm.apis.route import CHAT, Route
from fakellm.base import tokenizer
from fakellm.base.seed import Source
from fakellm.faults import (
    BatchFault,
    CompletionFault,
    ConnectionFault,
    EventFault,
    Fault,
    ResponseFault,
    Sent,
    Stream,
    Whole,
)
from fakellm.generate import Generate
from fakellm.model.blocks import Choice, Completion, Stop, Thinking, ToolCall, Usage
from fakellm.model.deltas import Batch, End
from fakellm.model.request import Request
from fakellm.model.tokens import tokens_in
from fakellm.scenarios.reply import Reply, ReplyChoice, choice_blocks
from fakellm.scenarios.scenario import Rule
from fakellm.scenarios.usage import core_usage
from fakellm.streaming.divide import divide
from fakellm.streaming.play import play
from fakellm.wire.frame_edits import patched
from fakellm.wire.framing import Block, Framing, blocks, comment, encode
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.sse import Event
from fakellm.wire.timing import Timing, pace
from fakellm.wire.transfer import carry, due


def render(rule: Rule, request: Request, seed: int, route: Route = CHAT) -> Plan:
    """The response to `request` by a rule that has a name and a dialect.

    A response that is not streamed is due when the last frame of its stream, usage included, would be: the model
    takes as long.
    """
    streamed = request.stream
    fault, source = rule.fault_in(streamed), Source(seed, request.digest, "fault")
    whole = not ((streamed and not isinstance(fault, Whole)) or isinstance(fault, Stream))
    settings = route.settings(rule.stream, rule.dialect, request, seed, not whole)
    habits = settings.habits
    if isinstance(fault, ResponseFault):
        return fault.respond(partial(route.refuse, habits=habits), route.content_type(habits, True), streamed)
    route.validate(request, habits)
    sent = whole or settings.division.usage != "none"
    completion, values = complete(rule.reply, request, seed, route.provider(habits), sent)
    completion = route.restate(completion, request, rule.reply.usage is UNSET)
    if isinstance(fault, CompletionFault):
        completion = fault.apply(completion, source)
    answer = route.answer(route.expressible(completion, habits, whole), request, habits, seed, values)
    transfer = settings.transfer
    if not whole:
        kind = route.content_type(habits, True) if transfer.content_type is UNSET else transfer.content_type
        headers = ((("Content-Type", kind),) if kind is not None else ()) + (("Cache-Control", "no-cache"),)
        plan = Plan(200, headers, stream(answer, settings, route, rule.timing, fault), delimited="chunked")
    else:
        delay = duration(answer, settings, route, rule.timing) if rule.timing != Timing() else 0.0
        answer = replace(answer, source=Source(seed, request.digest, "provider"))
        kind = route.content_type(habits, False)
        plan = Plan(200, (("Content-Type", kind),), due(route.whole(answer), delay, rule.timing.step))
    if rule.patch:
        plan = replace(plan, frames=patched(plan.frames, rule.patch))
    plan = carry(_headed(plan, rule.reply.headers), transfer)
    if isinstance(fault, ConnectionFault):
        usual = replace(settings.framing, ends_with="blank_line", bom=False)
        return fault.apply(plan, source, encode([comment("ping", usual)], usual)[0])
    return plan


def _headed(plan: Plan, headers: Mapping[str, str]) -> Plan:
    """The plan with these headers, which replace those of the same name."""
    ours = {name.lower() for name in headers}
    kept = (header for header in plan.headers if header[0].lower() not in ours)
    return replace(plan, headers=(*kept, *headers.items()))


def stream(
    answer: Answer[Any], settings: Settings[Any], route: Route, timing: Timing, fault: Fault | None = None
) -> tuple[Frame, ...]:
    """The frames of a stream, one for each event and one for each block between events."""
    framing, source = settings.framing, answer.source
    batches = divided(answer, settings, route)
    if isinstance(fault, BatchFault):
        batches = fault.changed(batches)
    written = list(route.write(batches, answer))
    events: list[Event] = []
    counts: list[int] = []
    ends = [_ends(batch) for batch in batches]
    sent = [number for number, end in enumerate(ends) if not end]
    counting = timing.tokens_per_second > 0
    for place in _order(fault, [batches[number] for number in sent], source):
        found = written[sent[place]]
        events += found
        counts += [tokens_in(batches[sent[place]]) if counting and not each else 0 for each in range(len(found))]
    ending = [event for number, end in enumerate(ends) if end for event in written[number]]
    ending += map(Event, framing.after)
    lines, framing = _lines(events, ending, framing, fault, route, settings, source)
    frames = [(piece, block) for piece, block in zip(encode(lines, framing), lines, strict=True) if piece]
    weights = [0 if block.event is None or block.event >= len(counts) else counts[block.event] for _, block in frames]
    return pace([piece for piece, _ in frames], timing, source, weights)


def divided(answer: Answer[Any], settings: Settings[Any], route: Route) -> tuple[Batch, ...]:
    """The batches of the answer: as the score sets them or, without a score, the division."""
    if settings.score is not None:
        return play(answer.completion, settings.score)
    return divide(answer.completion, settings.division, route.grammar(settings.habits), answer.source)


def _ends(batch: Batch) -> bool:
    return any(isinstance(delta, End) for delta in batch)


def _order(fault: Fault | None, batches: Sequence[Batch], source: Source) -> Sequence[int]:
    return fault.order(batches, source) if isinstance(fault, BatchFault) else range(len(batches))


def _lines(
    events: Sequence[Event],
    ending: Sequence[Event],
    framing: Framing,
    fault: Fault | None,
    route: Route,
    settings: Settings[Any],
    source: Source,
) -> tuple[Sequence[Block], Framing]:
    """The blocks of a stream, and how they are framed."""
    if not isinstance(fault, EventFault):
        return blocks((*events, *ending), framing), framing
    end = blocks(ending, replace(framing, insert=()))
    end = [replace(block, event=None) for block in end]

    def broken(failure: Any, shape: str | None, before: Sequence[Event]) -> tuple[Event | str, bool]:
        return route.broken(failure, settings.habits, shape, before)

    sent = Sent(tuple(blocks(events, framing)), tuple(end), tuple(events), framing, broken)
    sent = fault.apply(sent, source)
    return (*sent.blocks, *sent.ending), sent.framing


def duration(answer: Answer[Any], settings: Settings[Any], route: Route, timing: Timing) -> float:
    """How many seconds a stream of the answer would take, computed without writing it."""
    batches = divided(answer, settings, route)
    ending = tuple(map(Event, settings.framing.after))
    events = [Event("-") for _ in batches]
    found = blocks((*events, *ending), settings.framing)
    counts = [tokens_in(batch) for batch in batches]
    weights = [0 if block.event is None or block.event >= len(counts) else counts[block.event] for block in found]
    return sum(frame.delay for frame in pace([b"-"] * len(found), timing, answer.source, weights))


def complete(
    reply: Reply, request: Request, seed: int, provider: Provider, usage_sent: bool = True
) -> tuple[Completion, dict[str, Any]]:
    """The completion of `reply` to `request`, and the values that the reply sets around it; the API draws call ids that
    it does not set. The prompt, which may have a megabyte, is counted only if usage is sent.

    Raises RequestError if the reply is generated and the request cannot be honoured.
    """
    if reply.generate:
        choices = generate.answers(reply.generate, request, seed, provider)
    else:
        choices = tuple(_choice(choice, provider) for choice in reply.choices or (reply,))
    if reply.usage is UNSET:
        usage: Usage | None = _counted(choices, request.texts if usage_sent else (), provider)
    else:
        usage = core_usage(reply.usage) if reply.usage else None
    if reply.generate and provider.hides_reasoning:
        choices = tuple(map(_without_reasoning, choices))
    named = {"id": reply.id, "created": reply.created, "model": reply.model}
    values: dict[str, Any] = {key: value for key, value in named.items() if value}
    if reply.system_fingerprint is not UNSET:
        values["system_fingerprint"] = reply.system_fingerprint
    return Completion(choices, usage), values


def generated(request: Request, route: Route = CHAT) -> Reply:
    """The reply to a request that no rule matches: the seed and the request decide everything."""
    if route.allows_no_tokens(request):
        return Reply(choices=(ReplyChoice(finish_reason="length"),) * request.choices)
    return Reply(generate=Generate())


def _choice(choice: ReplyChoice, provider: Provider) -> Choice:
    found = choice_blocks(choice)
    finish = choice.finish_reason
    if finish is UNSET:
        calls = any(isinstance(block, ToolCall) for block in found)
        finish = ("tool_calls" if calls else "stop") if provider.finishes else None
    return Choice(found, None if finish is None else Stop(finish))


def _without_reasoning(choice: Choice) -> Choice:
    return replace(choice, blocks=tuple(block for block in choice.blocks if not isinstance(block, Thinking)))


def _counted(choices: tuple[Choice, ...], prompt: Sequence[str], provider: Provider) -> Usage:
    """Usage as a tokenizer would count it, roughly: each message of the prompt costs three tokens besides its text."""
    reasoning = sum(tokenizer.count(choice.reasoning) for choice in choices)
    texts = [choice.content + choice.refusal for choice in choices]
    texts += [call.name + call.arguments for choice in choices for call in choice.tool_calls]
    output = sum(tokenizer.count(text) for text in texts) + (0 if provider.output_excludes_reasoning else reasoning)
    return Usage(sum(3 + tokenizer.count(text) for text in prompt), output, reasoning=reasoning)
