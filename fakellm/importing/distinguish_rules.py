"""Turns recorded requests into conditions: a `when` for each rule that its own request matches and no other does.

Knows no recordings, only requests and the rules that answer them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import json
from msgspec.structs import replace

from fakellm.model.request import Request
from fakellm.scenarios.matching import Pattern, When
from fakellm.scenarios.scenario import Rule, Step

Answered = tuple[Request | None, Rule]
"""A rule, and the request that it answers; None if the request was not recorded."""


def distinguished(answered: Sequence[Answered]) -> tuple[Rule, ...]:
    """The rules with as few conditions as needed, of the same kind for all. If the same request comes again, the next
    reply of its rule answers it."""
    groups: dict[tuple[str, bool], list[Answered]] = {}
    for request, rule in answered:
        key = ("", False) if request is None else (request.digest, request.stream)
        groups.setdefault(key, []).append((request, rule))
    firsts = [group[0][0] for group in groups.values()]
    conditions = next((way for way in _WAYS if _differ(firsts, way)), _exactly)
    return tuple(_rule(group, conditions) for group in groups.values())


def _model_and_turn(request: Request) -> When:
    return When(model=request.model, turn=request.turn)


def _and_user(request: Request) -> When:
    return replace(_model_and_turn(request), user=Pattern(exact=request.user))


def _and_stream(request: Request) -> When:
    return replace(_and_user(request), stream=request.stream)


def _and_messages(request: Request) -> When:
    return When(
        model=request.model,
        stream=request.stream,
        body={"messages": request.body["messages"], "tools": request.body.get("tools")},
    )


def _exactly(request: Request) -> When:
    fields = {key: value for key, value in request.body.items() if key not in ("stream", "stream_options")}
    return When(stream=request.stream, body={key: _value(value) for key, value in fields.items()})


def _value(value: object) -> object:
    """The value as a condition; a mapping is wrapped in `exact`, because it could look like a pattern."""
    return {"exact": value} if isinstance(value, dict) else value


_WAYS: tuple[Callable[[Request], When], ...] = (_model_and_turn, _and_user, _and_stream, _and_messages)


def _differ(requests: Sequence[Request | None], way: Callable[[Request], When]) -> bool:
    """Whether the conditions differ for each request. A rule without a recorded request matches everything."""
    made = [json.encode(When() if request is None else way(request), order="sorted") for request in requests]
    return len(set(made)) == len(made)


def _rule(group: Sequence[Answered], conditions: Callable[[Request], When]) -> Rule:
    request, rule = group[0]
    when = When() if request is None else conditions(request)
    if rule.patch and request is not None:  # its frames belong to a stream or to a whole body
        when = replace(when, stream=request.stream)
    then = tuple(Step(more.reply, more.stream, more.timing, more.fault, more.patch) for _, more in group[1:])
    return replace(rule, when=when, then=then)
