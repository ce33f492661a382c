"""Turns recorded requests into conditions: a `when` for each rule that its own request matches and no other does.

Knows no recordings, only requests and the rules that answer them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.json_path import path_of
from fakellm.faults import Status
from fakellm.model.request import Request
from fakellm.scenarios.matching import Pattern, When
from fakellm.scenarios.scenario import Rule, Step

Way = Callable[[Request], When]
"""What distinguishes a request, as conditions."""


class AnsweredRequest(Struct, frozen=True):
    """A rule, and the request that it answers. `known`: whether that request was recorded; of one that was not, only
    its API and whether it is for a stream count."""

    request: Request
    rule: Rule
    known: bool = True


def distinguished(answered: Sequence[AnsweredRequest]) -> tuple[Rule, ...]:
    """The rules with as few conditions as needed, of the same kind for all. If the same request comes again, the next
    reply of its rule answers it. Rules for requests of several APIs all name theirs."""
    groups: dict[tuple[object, ...], list[AnsweredRequest]] = {}
    for each in sorted(answered, key=lambda each: not each.known):  # what matches any request comes last
        groups.setdefault(identity(each), []).append(each)
    several = len({each.request.api for each in answered}) > 1
    unknown = [group for group in groups.values() if not group[0].known]
    known = _known([group for group in groups.values() if group[0].known], several)
    return (*known, *(_rule(group, _any_request(group[0], unknown)) for group in unknown))


def identity(each: AnsweredRequest) -> tuple[object, ...]:
    """Equal for rules that answer the same request."""
    request = each.request
    return (each.known, request.api, request.stream, request.digest if each.known else "")


def _known(groups: Sequence[list[AnsweredRequest]], several: bool) -> list[Rule]:
    def with_api(way: Way) -> Way:
        return lambda request: replace(way(request), api=request.api) if several else way(request)

    for way in map(with_api, _WAYS):
        if _differ([group[0].request for group in groups], way):
            return [_rule(group, way(group[0].request)) for group in groups]
    way = with_api(exactly)
    return [_rule(group, way(group[0].request)) for group in _by_every_field(groups, way)]


def _any_request(each: AnsweredRequest, groups: Sequence[list[AnsweredRequest]]) -> When:
    """The condition of a rule without a recorded request: its API, and whether a stream is requested if rules without
    a request answer both."""
    kinds = {group[0].request.stream for group in groups if group[0].request.api == each.request.api}
    return When(api=each.request.api, stream=each.request.stream if len(kinds) > 1 else None)


def _by_every_field(groups: Iterable[list[AnsweredRequest]], way: Way) -> list[list[AnsweredRequest]]:
    """The groups whose requests differ in `way`. Those with more fields come first: a request that has all fields of
    another matches the rule of that one too."""
    merged: dict[str, list[AnsweredRequest]] = {}
    for group in groups:
        merged.setdefault(_encoded(way(group[0].request)), []).extend(group)
    return sorted(merged.values(), key=lambda group: -len(way(group[0].request).body))


def _model_and_turn(request: Request) -> When:
    continued = {key: _value(request.body[key]) for key in _CONTINUED if request.body.get(key)}
    return When(model=request.model, turn=None if continued else request.turn, body=continued)


def _and_user(request: Request) -> When:
    found = _model_and_turn(request)
    return replace(found, user=Pattern(exact=request.user)) if request.user or not found.body else found


_CONTINUED = ("previous_response_id", "conversation")
"""The fields of a body that name the conversation that it continues, whose turns and users it does not have."""


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


_WAYS: tuple[Way, ...] = (_model_and_turn, _and_user, _and_stream, _and_messages)


def _differ(requests: Sequence[Request], way: Way) -> bool:
    """Whether the conditions differ for each request."""
    made = list(map(way, requests))
    if any(set("*?[") & set(when.model or "") for when in made):  # it would match other models too
        return False
    return len(set(map(_encoded, made))) == len(made)


def _encoded(when: When) -> str:
    return json.dumps(msgspec.to_builtins(when), sort_keys=True)


def _rule(group: Sequence[AnsweredRequest], when: When) -> Rule:
    first, *others = group
    body = not first.request.stream and not isinstance(first.rule.fault, Status)
    if body or first.rule.patch:  # what it sends is a whole body, or its literal frames are those of a stream
        when = replace(when, stream=first.request.stream)
    steps = (each.rule for each in others)
    then = tuple(Step(rule.reply, rule.stream, rule.timing, rule.fault, rule.patch) for rule in steps)
    return replace(first.rule, when=when, then=then)
