"""The cases that every run begins with: difficult content, each step alone, each fault once. Owns their order.

There are few enough single steps to try them all; the draws that follow add other texts, places and combinations.
`base_answers`, `payloads` and `fault_cases` hold the content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import msgspec

from fakellm.apis.route import CHAT, Route
from fakellm.apis.variation import Variation
from fakellm.faults import Fault
from fakellm.fuzzing.draws.answers import reply as reply_to
from fakellm.fuzzing.draws.base_answers import BASES, CALL, CALLS, ORDERED, REASONED, SIMPLE, TEXT
from fakellm.fuzzing.draws.families import options
from fakellm.fuzzing.draws.fault_cases import FAULTS, MORE_FAULTS
from fakellm.fuzzing.draws.own_answers import own_answers
from fakellm.fuzzing.draws.payloads import payloads, sizes
from fakellm.fuzzing.draws.profiles import Profile
from fakellm.fuzzing.draws.steps import PAUSES, excludes, plain_wire, usual
from fakellm.fuzzing.endpoints import has_effect, keeps_order, name_of
from fakellm.fuzzing.tiers import contested, steps
from fakellm.model.blocks import Completion
from fakellm.scenarios.reply import Call
from fakellm.scenarios.reply_blocks import CallBlock
from fakellm.scenarios.scenario import Rule
from fakellm.wire.framing import Insert
from fakellm.wire.timing import Timing

_FEW = 6
"""Up to how many forms of a step each counts as different. More forms than that are places or sizes."""


def one_call(rule: Rule) -> Rule:
    """The rule with only the first tool call of its reply, or with that of CALL if it has none; without its fault if
    the fault needs more calls."""
    choices = rule.reply.choices or (rule.reply,)
    calls = next((choice.tool_calls for choice in choices if choice.tool_calls), reply_to(CALL).tool_calls)
    reply = msgspec.structs.replace(reply_to(CALL), tool_calls=calls[:1])
    fault = rule.fault if rule.fault and rule.fault.calls <= 1 else None
    return msgspec.structs.replace(rule, reply=reply, fault=fault)


def one_choice(rule: Rule) -> Rule:
    """The rule with only the first choice of its reply."""
    reply = rule.reply
    if not reply.choices:
        return rule
    choice = msgspec.structs.asdict(reply.choices[0])
    return msgspec.structs.replace(rule, reply=msgspec.structs.replace(reply, choices=(), **choice))


def first(profile: Profile) -> Iterator[Rule]:
    """The cases of every run: each step alone on the answer that reveals most, difficult texts and arguments, each
    fault and each dialect."""
    dialect = profile.dialects[0]
    if profile.families:
        ordered = (ORDERED,) if keeps_order(profile.api) else ()
        answers = (*BASES, *ordered, *own_answers(profile.api))
        yield from (Rule(reply=reply_to(each), dialect=dialect) for each in answers)
        found = ((family, next(singles(family, profile), None)) for family in profile.families)
        alone = {family: rule for family, rule in found if rule}
        written = [rule for family, rule in alone.items() if profile.tier(family) == "T2"]
        carried = [alone[family].stream for family in _CARRIED if family in alone]
        yield from (rule for family, rule in alone.items() if family not in _CARRIED and rule not in written)
        yield from _around([*written, *_with_payloads(profile, carried)], profile)
        if not excludes(profile.exclude, PAUSES.name):
            yield Rule(reply=reply_to(SIMPLE), dialect=dialect, timing=Timing(gap=0.01))
    if profile.faults:
        yield from _with_faults(FAULTS, profile)


def values(profile: Profile) -> Iterator[Rule]:
    """Each step with each of its other values, alone on the answer that reveals most; so a run tries them all soon."""
    for family in profile.families:
        yield from chain.from_iterable(turn[1:] for turn in _turns(family, profile)[:1])


def again(profile: Profile) -> Iterator[Rule]:
    """Other known cases: the steps on other answers, and faults in other places."""
    for family in profile.families:
        yield from chain.from_iterable(_turns(family, profile)[1:])
    if profile.faults:
        yield from _with_faults(MORE_FAULTS, profile)


_CARRIED = (
    *("transfer.header_case", "transfer.body", "transfer.gzip", "transfer.gzip: members", "transfer.content_type"),
    "transfer.encoding",
    *("transfer.coalesce", "transfer.chunks", "transfer.trailers", "transfer.head"),
)
"""Families that mean the same on any answer, since they are about HTTP alone: the payloads are tried with them."""


def _with_payloads(profile: Profile, carried: list[Variation]) -> Iterator[Rule]:
    """The payloads, each in its own variation if the profile draws its steps, or else with the next of those that are
    to be `carried` or with the bytes in another form; and the long streams whose steps the profile draws."""
    dialect = profile.dialects[0]
    of_bytes = [family for family in profile.families if profile.tier(family) == "T0"]
    others = (rule.stream for family in of_bytes for rule in islice(singles(family, profile), 1, None))
    forms = chain(carried, others)
    for completion, variation in payloads():
        if variation == Variation() or not _is_drawn(variation, profile):
            variation = next(forms, Variation())
        yield Rule(reply=reply_to(completion), dialect=dialect, stream=variation)
    for completion, variation in sizes():
        if not _is_drawn(variation, profile):
            variation = msgspec.structs.replace(variation, transfer=None)
        if _is_drawn(variation, profile):
            yield Rule(reply=reply_to(completion), dialect=dialect, stream=variation)


def _is_drawn(variation: Variation, profile: Profile) -> bool:
    """Whether the profile draws each of its steps."""
    return profile.allows(variation) and all(profile.draws(step.name) for step in steps(variation))


def _around(rules: Iterable[Rule], profile: Profile) -> Iterator[Rule]:
    """The rules, each in the next dialect in which its steps differ from the usual wire; then the remaining dialects,
    with tool calls.

    Content and the spelling of JSON mean the same in every dialect, so trying the dialects costs no extra cases. Only
    dialects whose usual wire is contested get cases of their own, since the verdicts there are more lenient.
    """
    api, name = profile.api, name_of(profile.api)
    plain = plain_wire(api)
    waiting = [each for each in profile.dialects if not contested(api.usual(each), plain, name)]
    waiting = waiting or list(profile.dialects)
    waiting.append(waiting.pop(0))  # the first one has been tried
    left = dict.fromkeys(profile.dialects[1:])
    for rule in rules:
        unusual = (each for each in waiting if rule.stream == Variation() or steps(rule.stream, usual(each, api)))
        dialect = next(unusual, waiting[0])
        waiting.append(waiting.pop(waiting.index(dialect)))
        left.pop(dialect, None)
        yield msgspec.structs.replace(rule, dialect=dialect)
    yield from (Rule(reply=reply_to(CALLS), dialect=each) for each in left)


def singles(family: str, profile: Profile) -> Iterator[Rule]:
    """Each step of a family alone, once per name, or in all its forms if they are few; on a second answer too if the
    step concerns deltas."""
    return chain.from_iterable(_turns(family, profile))


@lru_cache(maxsize=1024)
def _turns(family: str, profile: Profile) -> tuple[tuple[Rule, ...], ...]:
    """The steps of `singles`, by answer. Every run needs them several times."""
    dialect = profile.dialects[0]
    plain = usual(dialect, profile.api)
    tier = profile.tier(family)
    turns = []
    for base in (CALL, TEXT) if tier == "T1" else BASES:
        found: dict[tuple[str, Any], Variation] = {}
        forms = options(base).get(family, ())
        allowed = (each for each in forms if profile.allows(each) and has_effect(profile.api, each))
        for number, variation in enumerate(allowed):
            name = " ".join(step.name for step in steps(variation, plain))
            if name:  # a step from this wire
                found.setdefault((name, number if len(forms) <= _FEW else repr(_inserts(variation))), variation)
        turns.append(tuple(Rule(reply=reply_to(base), dialect=dialect, stream=each) for each in found.values()))
    return tuple(turn for turn in turns if turn)[: 1 if tier in ("T0", "T2") else 2]


def _inserts(variation: Variation) -> list[Insert]:
    """What is inserted between events, wherever that is."""
    return [msgspec.structs.replace(insert, before=()) for insert in variation.sse.insert] if variation.sse else []


def wires(profile: Profile) -> Iterator[Rule]:
    """Text, tool calls and reasoning on the usual wire of every dialect except the first."""
    for dialect in profile.dialects[1:]:
        yield from (Rule(reply=reply_to(base), dialect=dialect) for base in (TEXT, CALLS, REASONED))


def broken(profile: Profile) -> Iterator[Rule]:
    """Each fault where it reveals most, and some in other places."""
    return _with_faults((*FAULTS, *MORE_FAULTS), profile)


def _with_faults(faults: Iterable[tuple[Completion, Fault]], profile: Profile) -> Iterator[Rule]:
    return (Rule(reply=reply_to(base), fault=fault) for base, fault in faults if profile.allows_fault(fault))


def request(rule: Rule, api: Route = CHAT) -> dict[str, Any]:
    """The body of a request that fits the reply of `rule`: with the tools that it calls, and for as many choices."""
    choices = rule.reply.choices or (rule.reply,)
    calls = (call for choice in choices for call in (*choice.tool_calls, *choice.blocks))
    names = dict.fromkeys(call.name for call in calls if isinstance(call, (Call, CallBlock)))
    return api.example(tuple(names), len(choices))
