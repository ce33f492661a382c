"""Makes the smallest rule for one request, as something to edit: as few conditions as distinguish it.

Every other request, and every rule that must stay reachable, is an obstacle: the conditions that it has too. The
conditions that are chosen are not all among those of any obstacle, and each is there for one. Knows no journal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from fakellm.base.json_text import dumps
from fakellm.faults import Fault
from fakellm.importing.distinguish_rules import exactly
from fakellm.model.blocks import Choice, Completion
from fakellm.model.request import Request
from fakellm.scenarios.matching import Pattern, When, difference
from fakellm.scenarios.reachability import unreachable
from fakellm.scenarios.reply import Call, Reply, reply_of
from fakellm.scenarios.scenario import Rule

PLACEHOLDER = "Write the reply here."
"""The reply to a request that no rule has answered."""

_EXCERPT = 60
"""Characters of the user's message that a condition contains, if they are enough."""


class SmallestRule(Struct, frozen=True):
    """A rule for a request. `alike`: the other requests that no condition distinguishes from it, and the rules that no
    request would reach behind it, by their numbers from 0."""

    rule: Rule
    alike: Sequence[int] = ()
    hidden: Sequence[int] = ()


def smallest_rule(
    request: Request,
    others: Sequence[Request] = (),
    rules: Sequence[When] = (),
    reply: Reply | None = None,
    fault: Fault | None = None,
    secret: Callable[[str], bool] = lambda text: False,
) -> SmallestRule:
    """The rule that answers a request, in front of `rules`, and none of the `others` that differ from it.

    reply, fault: those of the rule; without a reply, a placeholder. secret: whether a text has a secret, which no
    condition may show.
    """
    known = _matching(dict(_conditions(request)), others, rules, secret)
    tries = [_matching({"user": When(user=user)}, others, rules, secret) | known for user in _users(request)] or [known]
    obstacles = [_obstacles(each, len(others) + len(rules)) for each in tries]
    best = min(range(len(tries)), key=lambda number: obstacles[number].count(frozenset(tries[number])))
    conditions, found = tries[best], obstacles[best]
    every = frozenset(conditions)
    chosen = _fewest(list(conditions), {frozenset[str](), *found} - {every})
    when = _joined(conditions[name].when for name in chosen)
    return SmallestRule(
        Rule(when=when, reply=reply or Reply(content=PLACEHOLDER), fault=fault),
        alike=[number for number, each in enumerate(found[: len(others)]) if each == every],
        hidden=[number for number, each in enumerate(found[len(others) :]) if each == every],
    )


class _Condition(Struct, frozen=True):
    """A `when` with one condition, and the numbers of the obstacles that have it too: first of the other requests, then
    of the rules."""

    when: When
    obstacles: frozenset[int]


def _matching(
    whens: Mapping[str, When], others: Sequence[Request], rules: Sequence[When], secret: Callable[[str], bool]
) -> dict[str, _Condition]:
    """The conditions that show no secret, each with the obstacles that have it."""
    found = {}
    for name, when in whens.items():
        if not secret(dumps(msgspec.to_builtins(when))):
            requests = [number for number, other in enumerate(others) if not difference(when, other)]
            behind = [len(others) + later - 1 for later, earlier in unreachable([when, *rules]) if earlier == 0]
            found[name] = _Condition(when, frozenset([*requests, *behind]))
    return found


def _obstacles(conditions: Mapping[str, _Condition], count: int) -> list[frozenset[str]]:
    """The names of the conditions that each obstacle has."""
    return [
        frozenset(name for name, condition in conditions.items() if number in condition.obstacles)
        for number in range(count)
    ]


def _fewest(names: Sequence[str], obstacles: Collection[frozenset[str]]) -> list[str]:
    """Names of which each obstacle lacks one, and none too many: those that come last are left out first."""
    chosen = list(names)
    for name in reversed(names):
        rest = [each for each in chosen if each != name]
        if all(not obstacle.issuperset(rest) for obstacle in obstacles):
            chosen = rest
    return chosen


def _users(request: Request) -> Iterator[str | Pattern]:
    """Conditions on the user's message, the shortest first; none if there is none."""
    text = request.user
    if not text:
        return
    excerpt = text.strip().partition("\n")[0][:_EXCERPT].strip()
    yield from dict.fromkeys(each for each in (excerpt, text) if each)
    yield Pattern(exact=text)


def _conditions(request: Request) -> Iterator[tuple[str, When]]:
    """What else is true of a request, what distinguishes it most first."""
    yield "turn", When(turn=request.turn)
    if request.model and not set("*?[") & set(request.model):
        yield "model", When(model=request.model)
    for name, text in request.results.items():
        yield f"result.{name}", When(result={name: Pattern(exact=text)})
    if request.tools:
        yield "tools", When(tools=request.tools)
    if request.system:
        yield "system", When(system=Pattern(exact=request.system))
    yield "response_format", When(response_format=request.response_format[-1])
    yield "tool_choice", When(tool_choice=request.tool_choice)
    yield "stream", When(stream=request.stream)
    if request.api:
        yield "api", When(api=request.api)
    fields = exactly(request).body
    for path in sorted(fields, key=lambda path: len(dumps(fields[path]))):
        yield f"body.{path}", When(body={path: fields[path]})


def _joined(whens: Iterable[When]) -> When:
    """One `when` with all conditions."""
    values: dict[str, Any] = {}
    for when in whens:
        for name in When.__struct_fields__:
            value = getattr(when, name)
            if value != getattr(_NONE, name):
                values[name] = {**values[name], **value} if isinstance(values.get(name), dict) else value
    return When(**values)


_NONE = When()


def reply_to_edit(completion: Completion) -> Reply:
    """A reply that gives a completion, in its shortest form: without ids, counts and what follows from the rest."""
    if len(completion.choices) != 1:
        return replace(reply_of(completion), usage=UNSET)
    choice = completion.choices[0]
    short = _short(choice)
    long = replace(reply_of(Completion((choice,))), usage=UNSET)
    return short if not long.blocks else long


def _short(choice: Choice) -> Reply:
    calls = tuple(
        Call(
            call.name, _arguments(call.arguments), kind="custom" if call.kind == "custom" else "function", own=call.own
        )
        for call in choice.tool_calls
    )
    usual = "tool_calls" if calls else "stop"
    finish = choice.finish_reason
    return Reply(
        content=choice.content,
        reasoning=choice.reasoning,
        refusal=choice.refusal,
        tool_calls=calls,
        finish_reason=UNSET if finish == usual else finish,
    )


def _arguments(text: str) -> str | dict[str, Any]:
    """The arguments of a call as a mapping, if that is written as the same text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) and dumps(value) == text else text
