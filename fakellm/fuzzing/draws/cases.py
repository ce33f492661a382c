"""The cases that every run begins with: what has hurt most on the plain wire, each step alone, each fault once.

Single steps are few and are all tried; what is drawn after them are other texts, places and combinations. Knows what is
tried; `payloads` knows what is said there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from fakellm import faults
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.variation import Variation
from fakellm.faults import Fault
from fakellm.fuzzing.draws.families import options
from fakellm.fuzzing.draws.payloads import answer, payloads, sizes
from fakellm.fuzzing.draws.profiles import Profile
from fakellm.fuzzing.draws.steps import PAUSES, excludes, usual
from fakellm.fuzzing.tiers import contested, named, steps
from fakellm.model.completion import Choice, Completion, ToolCall
from fakellm.scenarios.scenario import Rule, reply_of
from fakellm.wire.timing import Timing

_CALLS = (ToolCall("call_0", "get_weather", '{"in":"Zürich 11"}'), ToolCall("call_1", "add", '{"a":1}'))

TEXT = answer(Choice("7 °C in <東京> & 🌍", finish_reason="stop"))
CALLS = answer(Choice("One moment", "Hm, well", tool_calls=_CALLS, finish_reason="tool_calls"))
CALL = answer(Choice(tool_calls=_CALLS[:1], finish_reason="tool_calls"))
"""Its first chunk says something already, and not the role alone."""
REASONED = answer(Choice("It is 7", reasoning="Hm, well", finish_reason="stop"))
REFUSED = answer(Choice(refusal="I cannot", finish_reason="stop"))
CHOICES = answer(Choice("One is", finish_reason="stop"), Choice("Two it is", finish_reason="length"))
_BASES = (TEXT, CALLS, REASONED, REFUSED, CHOICES)
SIMPLE = answer(Choice("Hello, world.", finish_reason="stop"))

_FEW = 4
"""Forms of a step, up to which each is told apart: beyond, they are places or sizes."""


def one_call(rule: Rule) -> Rule:
    """The rule with the first tool call of its reply alone, or that of CALL where it has none; and without a fault that
    needs more calls."""
    choices = rule.reply.choices or (rule.reply,)
    calls = next((choice.tool_calls for choice in choices if choice.tool_calls), reply_of(CALL).tool_calls)
    reply = msgspec.structs.replace(reply_of(CALL), tool_calls=calls[:1])
    fault = rule.fault if rule.fault and rule.fault.calls <= 1 else None
    return msgspec.structs.replace(rule, reply=reply, fault=fault)


def one_choice(rule: Rule) -> Rule:
    """The rule with the first choice of its reply alone."""
    reply = rule.reply
    if not reply.choices:
        return rule
    said = msgspec.structs.asdict(reply.choices[0])
    return msgspec.structs.replace(rule, reply=msgspec.structs.replace(reply, choices=(), **said))


def first(profile: Profile) -> Iterator[Rule]:
    """What every run has to try: each step alone on the answer that tells most, the texts and arguments that hurt, each
    fault and each dialect."""
    dialect = profile.dialects[0]
    if profile.families:
        yield from (Rule(reply=reply_of(each), dialect=dialect) for each in _BASES)
        alone = {family: next(singles(family, profile), None) for family in profile.families}
        written = [rule for family, rule in alone.items() if rule and named(family).tier == "T2"]
        yield from (rule for rule in alone.values() if rule and rule not in written)
        yield from _around([*written, *_said(profile)], profile)
        if not excludes(profile.exclude, PAUSES.name):
            yield Rule(reply=reply_of(SIMPLE), dialect=dialect, timing=Timing(gap=0.01))
    if profile.faults:
        yield from _struck(_FAULTS, profile)


def again(profile: Profile) -> Iterator[Rule]:
    """What else is known: the steps in their other forms and on other answers, and faults in other places."""
    for family in profile.families:
        yield from islice(singles(family, profile), 1, None)
    if profile.faults:
        yield from _struck(_FAULTS_AGAIN, profile)


def _said(profile: Profile) -> Iterator[Rule]:
    """Payloads, cut as they hurt most or else with the bytes in other forms, each as far as the profile has that; and
    long streams where it has what makes them."""
    dialect = profile.dialects[0]
    of_bytes = [family for family in profile.families if named(family).tier == "T0"]
    forms = (rule.stream for family in of_bytes for rule in islice(singles(family, profile), 1, None))
    for completion, variation in payloads():
        if variation == Variation() or not _within(variation, profile):
            variation = next(forms, Variation())
        yield Rule(reply=reply_of(completion), dialect=dialect, stream=variation)
    for completion, variation in sizes():
        if _within(variation, profile):
            yield Rule(reply=reply_of(completion), dialect=dialect, stream=variation)


def _within(variation: Variation, profile: Profile) -> bool:
    """Whether the profile has each step of it."""
    return profile.allows(variation) and all(profile.takes(step.name) for step in steps(variation))


def _around(rules: Iterable[Rule], profile: Profile) -> Iterator[Rule]:
    """The rules, each in the next dialect where it is no habit; and those dialects that are left, with calls.

    What is said and how JSON is written is read alike in all of them, so none costs a case of its own but those whose
    usual wire is contested: of a client they ask less.
    """
    waiting = [name for name in profile.dialects if not contested(DIALECTS[name].usual)] or list(profile.dialects)
    waiting.append(waiting.pop(0))  # it has been tried
    left = dict.fromkeys(profile.dialects[1:])
    for rule in rules:
        unusual = (name for name in waiting if rule.stream == Variation() or steps(rule.stream, usual(name)))
        dialect = next(unusual, waiting[0])
        waiting.append(waiting.pop(waiting.index(dialect)))
        left.pop(dialect, None)
        yield msgspec.structs.replace(rule, dialect=dialect)
    yield from (Rule(reply=reply_of(CALLS), dialect=name) for name in left)


def singles(family: str, profile: Profile) -> Iterator[Rule]:
    """Each step of a family alone, once by its name, or all of a few forms; with another answer too where the step is
    one of deltas."""
    dialect = profile.dialects[0]
    plain = usual(dialect)
    tier = named(family).tier
    turns = []
    for base in (CALL, TEXT) if tier == "T1" else _BASES:
        found: dict[tuple[str, int], Variation] = {}
        forms = options(base).get(family, ())
        for number, variation in enumerate(filter(profile.allows, forms)):
            name = " ".join(step.name for step in steps(variation, plain))
            if name:  # a step from this wire
                found.setdefault((name, number if len(forms) <= _FEW else 0), variation)
        turns.append([Rule(reply=reply_of(base), dialect=dialect, stream=each) for each in found.values()])
    used = [turn for turn in turns if turn][: 1 if tier in ("T0", "T2") else 2]
    yield from chain.from_iterable(used)


def wires(profile: Profile) -> Iterator[Rule]:
    """Texts, calls and reasoning on the usual wire of every dialect but the first."""
    for dialect in profile.dialects[1:]:
        yield from (Rule(reply=reply_of(base), dialect=dialect) for base in (TEXT, CALLS, REASONED))


def broken(profile: Profile) -> Iterator[Rule]:
    """Each fault where it is most telling, and some in other places."""
    return _struck((*_FAULTS, *_FAULTS_AGAIN), profile)


def _struck(struck: Iterable[tuple[Completion, Fault]], profile: Profile) -> Iterator[Rule]:
    return (Rule(reply=reply_of(base), fault=fault) for base, fault in struck if profile.allows_fault(fault))


_FAULTS: tuple[tuple[Completion, Fault], ...] = (
    (TEXT, faults.Close(frame=3)),
    (TEXT, faults.Reset(frame=3)),
    (TEXT, faults.Eof(frame=3)),
    (TEXT, faults.NoFinish()),
    *((TEXT, faults.Error(shape=shape, frame=3)) for shape in ("data", "chunk", "event", "message", "text", "line")),
    (TEXT, faults.Malformed(frame=2)),
    (TEXT, faults.Truncated(frame=2)),
    (TEXT, faults.Glued(frame=2)),
    (TEXT, faults.Unterminated()),
    (TEXT, faults.OnlyComments()),
    (TEXT, faults.OnlyDone()),
    (TEXT, faults.Empty()),
    (TEXT, faults.Html()),
    (TEXT, faults.Whole()),
    (TEXT, faults.Status(status=429)),
    (TEXT, faults.Status(status=500, times=1)),
    (REASONED, faults.Close(frame=6, times=1)),  # what was said before must not be said twice
    (TEXT, faults.ContentFilter(keep=3)),
    (TEXT, faults.Length(keep=3)),
    (TEXT, faults.FinishReason()),
    (TEXT, faults.NoChoices()),
    (TEXT, faults.HangUp()),
    (TEXT, faults.ContentType()),
    (TEXT, faults.ContentLength()),
    (TEXT, faults.Slow(seconds=0.01)),
    (CALLS, faults.Eof(frame=6)),
    (CALLS, faults.Length(keep=3)),
    (CALLS, faults.BadArguments()),
    (CALLS, faults.UnknownTool()),
    (CALLS, faults.SameId()),
    (CALLS, faults.NoCall()),
    # These cost as long as a client is patient.
    (TEXT, faults.Stall(frame=3)),
    (TEXT, faults.Drip(frame=3, every=0.05)),
)
_FAULTS_AGAIN: tuple[tuple[Completion, Fault], ...] = (
    (TEXT, faults.Eof(byte=-30)),
    (TEXT, faults.Error(shape="data", frame=0)),
    *((TEXT, faults.Status(status=status)) for status in (200, 500, 401, 400, 503)),
    (CALLS, faults.NoFinish()),
    (CALLS, faults.Close(frame=6)),
    (TEXT, faults.Close(at="start")),
    (TEXT, faults.Close(at="headers")),
    (TEXT, faults.Close(frame=3, times=1)),
    (CALLS, faults.Close(frame=6, times=1)),
    (TEXT, faults.FinishReason(reason="insufficient_system_resource")),
    (TEXT, faults.Html(status=502)),
)


def request(rule: Rule) -> dict[str, Any]:
    """What a client is to ask for, to be answered by `rule`: the tools that the answer calls, and as many choices."""
    choices = rule.reply.choices or (rule.reply,)
    names = dict.fromkeys(call.name for choice in choices for call in choice.tool_calls)
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names]
    return {
        "model": "fakellm",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"tools": tools} if tools else {}),
        **({"n": len(choices)} if len(choices) > 1 else {}),
    }
