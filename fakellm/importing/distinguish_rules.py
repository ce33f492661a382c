"""Turns recorded requests into conditions: a `when` for each rule that its own request matches and no other does.

Knows no recordings, only requests and the rules that answer them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from fakellm.base.json_path import path_of
from fakellm.model.request import Request
from fakellm.scenarios.matching import Pattern, When
from fakellm.scenarios.scenario import Rule, Step

Answered = tuple[Request | None, Rule]
"""A rule, and the request that it answers; None if the request was not recorded."""


def distinguished(answered: Sequence[Answered]) -> tuple[Rule, ...]:
    """The rules with as few conditions as needed, of the same kind for all. If the same request comes again, the next
    reply of its rule answers it."""
    groups: dict[tuple[str, bool], list[Answered]] = {}
    for request, rule in sorted(answered, key=lambda each: each[0] is None):  # what matches everything comes last
        key = ("", False) if request is None else (request.digest, request.stream)
        groups.setdefault(key, []).append((request, rule))
    firsts = [group[0][0] for group in groups.values()]
    for way in _WAYS:
        if _differ(firsts, way):
            return tuple(_rule(group, way) for group in groups.values())
    return tuple(_rule(group, exactly) for group in _by_every_field(groups.values()))


def _by_every_field(groups: Iterable[list[Answered]]) -> list[list[Answered]]:
    """The groups whose requests differ in `exactly`. Those with more fields come first: a request that has all fields
    of another matches the rule of that one too."""
    merged: dict[str, list[Answered]] = {}
    for group in groups:
        merged.setdefault(_encoded(_when(group[0][0], exactly)), []).extend(group)
    return sorted(merged.values(), key=lambda group: -len(_when(group[0][0], exactly).body))


def _model_and_turn(request: Request) -> When:
    return When(model=request.model, turn=request.turn)


def _and_user(request: Request) -> When:
    return replace(_model_and_turn(request), user=Pattern(exact=request.user))


def _and_stream(request: Request) -> When:
    return replace(_and_user(request), stream=request.stream)


def _and_messages(request: Request) -> When:
    body = {key: _value(request.body[key]) for key in _CONVERSATIONS if request.body.get(key) is not None}
    return When(model=request.model, stream=request.stream, body={**body, "tools": request.body.get("tools")})


_CONVERSATIONS = ("messages", "contents", "input", "prompt")
"""The fields of a body that have the conversation, in one API or another."""


def exactly(request: Request) -> When:
    """Every field of the body that a condition can name, and a model in the URL. A null is the same as no field."""
    fields = {key: value for key, value in request.body.items() if key not in ("stream", "stream_options")}
    body = {key: _value(value) for key, value in fields.items() if value is not None and _is_name(key)}
    return When(model=None if "model" in body else request.model or None, stream=request.stream, body=body)


def _is_name(key: str) -> bool:
    try:
        return path_of(key) == (key,)
    except ValueError:
        return False


def _value(value: object) -> object:
    """The value as a condition; a mapping is wrapped in `exact`, because it could look like a pattern."""
    return {"exact": value} if isinstance(value, dict) else value


_WAYS: tuple[Callable[[Request], When], ...] = (_model_and_turn, _and_user, _and_stream, _and_messages)


def _differ(requests: Sequence[Request | None], way: Callable[[Request], When]) -> bool:
    """Whether the conditions differ for each request. A rule without a recorded request matches everything."""
    made = [_when(request, way) for request in requests]
    if any(set("*?[") & set(when.model or "") for when in made):  # it would match other models too
        return False
    return len(set(map(_encoded, made))) == len(made)


def _when(request: Request | None, way: Callable[[Request], When]) -> When:
    return When() if request is None else way(request)


def _encoded(when: When) -> str:
    return json.dumps(msgspec.to_builtins(when), sort_keys=True)


def _rule(group: Sequence[Answered], conditions: Callable[[Request], When]) -> Rule:
    request, rule = group[0]
    when = _when(request, conditions)
    if rule.patch and request is not None:  # its frames belong to a stream or to a whole body
        when = replace(when, stream=request.stream)
    then = tuple(Step(more.reply, more.stream, more.timing, more.fault, more.patch) for _, more in group[1:])
    return replace(rule, when=when, then=then)
