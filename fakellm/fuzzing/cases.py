"""The cases that every run begins with: what has hurt most on the plain wire, each step alone, each fault once.

Single steps are few and are all tried; what is drawn after them are other texts, places and combinations.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any

import msgspec

from fakellm import faults
from fakellm.completion import Choice, Completion, ToolCall, Usage
from fakellm.dialects import DIALECTS
from fakellm.draws.answers import ARGUMENTS, TEXTS
from fakellm.draws.families import options
from fakellm.draws.profiles import Profile
from fakellm.faults import Fault
from fakellm.scenario import Rule, reply_of
from fakellm.tiers import named, steps
from fakellm.variation import PLAIN, Variation

_CALLS = (ToolCall("call_0", "get_weather", '{"in":"Zürich"}'), ToolCall("call_1", "add", '{"a":1}'))


def answer(*choices: Choice) -> Completion:
    """A whole answer of these choices."""
    return Completion("chatcmpl-1", 1_700_000_000, "fakellm", choices, Usage(3, 5))


TEXT = answer(Choice("7 °C in 東京 🌍", finish_reason="stop"))
CALLS = answer(Choice("One moment", tool_calls=_CALLS, finish_reason="tool_calls"))
CALL = answer(Choice(tool_calls=_CALLS[:1], finish_reason="tool_calls"))
"""Its first chunk says something already, and not the role alone."""
REASONED = answer(Choice("It is 7", reasoning="Hm, well", finish_reason="stop"))
REFUSED = answer(Choice(refusal="I cannot", finish_reason="stop"))
CHOICES = answer(Choice("One is", finish_reason="stop"), Choice("Two it is", finish_reason="stop"))
_BASES = (TEXT, CALLS, REASONED, REFUSED, CHOICES)
SIMPLE = answer(Choice("Hello, world.", finish_reason="stop"))


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
    """These cases for a profile, the shortest first: each step alone on the answer that tells most, the texts and
    arguments that hurt, each fault and each dialect; then the steps in their other forms and on other answers."""
    dialect = profile.dialects[0]
    turns = zip_longest(*(list(singles(family, profile)) for family in profile.families))
    once = [rule for rule in next(turns, ()) if rule is not None]
    framed = sum(named(family).tier in ("T0", "T1") for family in profile.families)
    if profile.families:
        yield from (Rule(reply=reply_of(each), dialect=dialect) for each in _BASES)
        yield from once[:framed]
        yield from (Rule(reply=reply_of(each), dialect=dialect) for each in _payloads())
        yield from once[framed:]
    if profile.faults:
        yield from broken(profile)
    yield from (rule for rule in next(turns, ()) if rule is not None)
    yield from (Rule(reply=reply_of(CALLS), dialect=name) for name in profile.dialects[1:])
    yield from (rule for turn in turns for rule in turn if rule is not None)


def _payloads() -> Iterator[Completion]:
    """All the texts and arguments that hurt, a few in one answer."""
    for start in range(0, len(TEXTS), 5):
        yield answer(Choice("|".join(TEXTS[start : start + 5]), finish_reason="stop"))
    for start in range(0, len(ARGUMENTS), 3):
        calls = enumerate(ARGUMENTS[start : start + 3])
        said = tuple(ToolCall(f"call_{number}", f"f{number}", arguments) for number, arguments in calls)
        yield answer(Choice(tool_calls=said, finish_reason="tool_calls"))


def singles(family: str, profile: Profile) -> Iterator[Rule]:
    """Each step of a family alone, once by its name; with another answer too where the step is one of deltas."""
    dialect = profile.dialects[0]
    usual = DIALECTS[dialect].usual.over(PLAIN)
    tier = named(family).tier
    turns = []
    for base in (CALL, TEXT) if tier == "T1" else _BASES:
        found: dict[str, Variation] = {}
        for variation in filter(profile.allows, options(base).get(family, ())):
            found.setdefault(" ".join(step.name for step in steps(variation, usual)), variation)
        found.pop("", None)  # no step from this wire
        turns.append([Rule(reply=reply_of(base), dialect=dialect, stream=each) for each in found.values()])
    used = [turn for turn in turns if turn][: 1 if tier in ("T0", "T2") else 2]
    yield from chain.from_iterable(used)


def wires(profile: Profile) -> Iterator[Rule]:
    """Texts, calls and reasoning on the usual wire of every dialect but the first."""
    for dialect in profile.dialects[1:]:
        yield from (Rule(reply=reply_of(base), dialect=dialect) for base in (TEXT, CALLS, REASONED))


def broken(profile: Profile) -> Iterator[Rule]:
    """Each fault once, where it is most telling."""
    for base, struck in ((TEXT, _FAULTS), (CALLS, _CALL_FAULTS), (TEXT, _PATIENT)):
        yield from (Rule(reply=reply_of(base), fault=fault) for fault in filter(profile.allows_fault, struck))


_FAULTS: tuple[Fault, ...] = (
    faults.Close(frame=3),
    faults.Reset(frame=3),
    faults.Eof(frame=3),
    faults.Eof(byte=-30),
    faults.NoFinish(),
    *(faults.Error(shape=shape, frame=3) for shape in ("data", "chunk", "event", "message", "text", "line")),
    faults.Error(frame=0),
    faults.Malformed(frame=2),
    faults.Truncated(frame=2),
    faults.Glued(frame=2),
    faults.Unterminated(),
    faults.OnlyComments(),
    faults.OnlyDone(),
    faults.Empty(),
    faults.Html(),
    faults.Whole(),
    *(faults.Status(status=status) for status in (200, 400, 401, 429, 500, 503)),
    faults.Html(status=502),
    faults.Close(at="start"),
    faults.Close(at="headers"),
    faults.Close(frame=3, times=1),
    faults.Status(status=500, times=1),
    faults.ContentFilter(keep=3),
    faults.Length(keep=3),
    faults.FinishReason(),
    faults.FinishReason(reason="insufficient_system_resource"),
    faults.NoChoices(),
    faults.HangUp(),
    faults.ContentType(),
    faults.ContentLength(),
    faults.Slow(seconds=0.01),
)
_CALL_FAULTS: tuple[Fault, ...] = (
    faults.Eof(frame=6),
    faults.NoFinish(),
    faults.Close(frame=6),
    faults.Length(keep=3),
    faults.BadArguments(),
    faults.UnknownTool(),
    faults.SameId(),
    faults.NoCall(),
)
_PATIENT: tuple[Fault, ...] = (faults.Stall(frame=3), faults.Drip(frame=3, every=0.05))
"""These cost as long as a client is patient."""


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
