"""Turns recordings into rules by meaning: reads each reply, renders it again, and patches frames that differ.

Knows no files: it takes cassettes, and returns a scenario and a report. Reads every API through its protocol, except
chat, whose dialects `chat_rule` tries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct
from msgspec.structs import replace

from fakellm.apis.route import Route
from fakellm.apis.variation import Variation
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.engine.render import render
from fakellm.faults import EventFault, Fault
from fakellm.importing.distinguish_rules import AnsweredRequest, distinguished, exactly
from fakellm.importing.long_edits import literal_places, long_edits
from fakellm.importing.recorded_request import request_of, route_of, served_path
from fakellm.importing.replies.broken_reply import Broken, announced, cut, error_in
from fakellm.importing.replies.literal_rule import literal_rule
from fakellm.importing.replies.patched_texts import repeated_texts
from fakellm.importing.replies.reply_rule import is_cut, reply_rule
from fakellm.model.request import Request
from fakellm.recordings.cassette import Cassette, Interaction
from fakellm.recordings.redaction import UnsearchableError, redacted
from fakellm.scenarios.loader import dump_json, parse
from fakellm.scenarios.matching import When
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.wire.kinds import ARRAY, SSE, Kind, kind_of
from fakellm.wire.plan import Plan


class Imported(Struct, frozen=True):
    """One interaction and how it was imported: `frames` of its `total` frames are literal."""

    name: str
    outcome: Literal["meaning", "patch", "literal", "left out"]
    frames: int = 0
    total: int = 0
    reason: str = ""


class _LeftOutError(Exception):
    """An interaction that cannot be imported, with the reason."""


def imported(cassettes: Sequence[Cassette], name: str = "imported") -> tuple[Scenario, list[Imported]]:
    """A scenario whose rules answer as recorded, without secrets, and how each interaction was imported."""
    answered: list[AnsweredRequest] = []
    report: list[Imported] = []
    for cassette in cassettes:
        for number, interaction in enumerate(cassette.interactions, 1):
            place = f"{cassette.name}#{number}"
            try:
                one, became = _one(interaction, place)
            except _LeftOutError as error:
                report.append(Imported(place, "left out", reason=str(error)))
                continue
            answered.append(one)
            report.append(became)
    return Scenario(name=name, rules=distinguished(answered)), report


def _one(interaction: Interaction, place: str) -> tuple[AnsweredRequest, Imported]:
    """The rule of an interaction with its request, and the report on it."""
    recorded = interaction.request
    path = served_path(recorded)
    if path is None:
        raise _LeftOutError(f"not a request for a reply that fakellm serves: {recorded.method} {recorded.url}")
    try:
        interaction = redacted(interaction)
        request = request_of(interaction.request, path)
    except UnsearchableError as error:
        raise _LeftOutError(str(error)) from None
    except RequestError as error:
        raise _LeftOutError(f"fakellm refuses the request: {error.message}") from None
    known = bool(interaction.request.body)
    answered, became = _answered(interaction, request, known, place, route_of(path))
    if problem := _problem(answered):
        raise _LeftOutError(problem)
    return answered, became


def _answered(
    interaction: Interaction, request: Request, known: bool, place: str, route: Route
) -> tuple[AnsweredRequest, Imported]:
    plan = interaction.response
    content_type = next((value for key, value in plan.headers if key.lower() == "content-type"), "")
    kind = kind_of(content_type) or _kind_in(plan.body, request)
    if reason := _not_a_reply(plan, kind, request, known):
        if plan.status is not None and not 200 <= plan.status <= 999:
            raise _LeftOutError(f"the status {plan.status} answers no request")
        request = request if known else replace(request, stream=kind is not None)
        return AnsweredRequest(request, literal_rule(plan, content_type), known), Imported(
            place, "literal", 1, 1, reason
        )
    pieces = kind.blocks(plan.body) if kind else [plan.body]
    request = replace(request, stream=kind is not None)
    broken = _broken(plan, pieces, kind, request, route)

    def rule_of(pieces: Sequence[bytes]) -> Rule:
        rule = reply_rule(interaction.request.url, pieces, kind, request, route)
        return _accepted(replace(rule, name=place), request, route)

    rule = _patched(rule_of, pieces, request, route)
    if broken and (rule.patch or not _is_error(broken)):
        whole = pieces if kind else [plan.body.ljust(announced(plan))]
        rule = _broken_as(rule_of(broken.pieces), broken, whole, request, route)
    literal = sum(len(edit.frames) for edit in rule.patch)
    outcome: Any = "literal" if literal >= len(pieces) else "patch" if rule.patch else "meaning"
    reason = broken.what if broken else "it is not a completion that a rule can spell" if outcome == "literal" else ""
    report = Imported(place, outcome, literal, len(pieces), reason)
    return AnsweredRequest(request, replace(rule, name=None), known), report


def _patched(
    rule_of: Callable[[Sequence[bytes]], Rule], pieces: Sequence[bytes], request: Request, route: Route
) -> Rule:
    """The rule for these pieces, with its patch. No text of a literal piece is in the reply too: if it would be, the
    rule is made of the other pieces alone."""
    read = pieces
    while True:
        rule = rule_of(read)
        made = _frames(rule, request, route)
        patch = long_edits(made, pieces)
        habits = route.settings(rule.stream, rule.dialect, request, 0, request.stream).habits
        if not any(repeated_texts(made, patch, route, habits, request.stream)):
            return replace(rule, patch=patch)
        odd = literal_places(patch)
        fewer = [piece for number, piece in enumerate(pieces) if number not in odd]
        if not fewer or len(fewer) == len(read):
            break
        read = fewer
    empty = replace(rule, reply=Reply(content=""), stream=Variation())
    return replace(empty, patch=long_edits(_frames(empty, request, route), pieces))


def _not_a_reply(plan: Plan, kind: Kind | None, request: Request, known: bool) -> str:
    """Why a response is not a reply in the form that was requested; empty if it is one."""
    if plan.status != 200:
        end = "" if plan.end in ("complete", "close") or plan.status is None else f", and then {plan.end}"
        return f"HTTP {plan.status or 'without an answer'}{end}"
    if known and (kind is not None) != request.stream:
        return "no stream" if request.stream else "no stream was requested"
    return ""


def _accepted(rule: Rule, request: Request, route: Route) -> Rule:
    """The rule, in another dialect of its API if only that one accepts the request."""
    for dialect in (rule.dialect, *route.dialects):
        try:
            changed = replace(rule, dialect=dialect)
            render(changed, request, 0, route)
            return changed
        except RequestError as error:
            refused = error
    raise _LeftOutError(f"fakellm refuses the request: {refused.message}")


def _broken(plan: Plan, pieces: Sequence[bytes], kind: Kind | None, request: Request, route: Route) -> Broken | None:
    """What broke the reply; None if it is whole."""
    if plan.end not in ("complete", "hang_up"):
        return cut(plan, pieces, kind is not None)
    if kind is None:
        return None
    return error_in(pieces, kind) or (cut(plan, pieces, True) if is_cut(pieces, kind, request, route) else None)


def _is_error(broken: Broken) -> bool:
    """Whether the provider itself reported an error in the stream, which some APIs have a meaning for."""
    return isinstance(broken.faults[0], EventFault)


def _broken_as(rule: Rule, broken: Broken, pieces: Sequence[bytes], request: Request, route: Route) -> Rule:
    """The rule with the fault that comes nearest to what was recorded, and a patch for the rest."""

    def patched(rule: Rule, fault: Fault) -> Rule:
        if isinstance(fault, EventFault):
            made = _frames(replace(rule, fault=fault), request, route)
        else:
            made = _frames(rule, request, route)[: len(pieces)]
            if pieces and len(made) == len(pieces):  # the last one may be cut
                made[-1] = made[-1][: len(pieces[-1])]
        return replace(rule, fault=fault, patch=long_edits(made, pieces))

    found = (patched(each, fault) for each in (_ended(rule), rule) for fault in broken.faults)
    return min(found, key=lambda rule: sum(len(edit.frames) + edit.drop for edit in rule.patch))


def _ended(rule: Rule) -> Rule:
    """The rule with the usual end, which it sends if someone removes its fault."""
    reply, stream = rule.reply, rule.stream
    reply = replace(reply, finish_reason=UNSET) if reply.finish_reason is None else reply
    return replace(rule, reply=reply, stream=replace(stream, done=None) if stream.done is False else stream)


def _frames(rule: Rule, request: Request, route: Route) -> list[bytes]:
    return [frame.data for frame in render(rule, request, 0, route).frames]


def _kind_in(body: bytes, request: Request) -> Kind | None:
    """The kind of a stream that only its first bytes show; None if it is none."""
    start = body.lstrip()
    if start.startswith((b"data:", b":", b"event:")):
        return SSE
    return ARRAY if request.stream and start.startswith(b"[") else None


def _problem(answered: AnsweredRequest) -> str:
    """Why a rule cannot be written to a file, with conditions on all that its request has; empty if it can."""
    when = exactly(answered.request) if answered.known else When()
    text = dump_json(replace(answered.rule, when=when))
    if _HALF.search(text):
        return "it has half of a surrogate pair, which YAML cannot express"
    try:
        parse(text, "rule")
    except ScenarioError as error:
        return error.problems[0]
    return ""


_HALF = re.compile(r"(?<!\\)(?:\\\\)*\\ud[89a-f]")
"""In JSON in which nothing else is escaped that need not be."""
