"""Turns recordings into rules by meaning: reads each reply, renders it again, and patches frames that differ.

Knows no files: it takes cassettes, and returns a scenario and a report. Reads every API through its protocol, except
chat, whose dialects `chat_rule` tries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import starmap
from operator import itemgetter
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.route import Route
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.importing.distinguish_rules import AnsweredRequest, distinguished, exactly, identity
from fakellm.importing.fixtures.fixture_file import FixtureFile
from fakellm.importing.fixtures.scripted import ScriptedRule, joined
from fakellm.importing.long_edits import literal_places, long_edits
from fakellm.importing.replies.broken_reply import Broken, announced, cut, damage, error_in, is_error
from fakellm.importing.replies.damaged_frame import damaged
from fakellm.importing.replies.literal_rule import literal_rule
from fakellm.importing.replies.patched_rule import LeftOutError, accepted, broken_as, frames_of, patched
from fakellm.importing.replies.recorded_request import request_of, route_of, served_path
from fakellm.importing.replies.reply_rule import is_cut, reply_rule
from fakellm.model.request import Request
from fakellm.recordings.cassette import Cassette, Interaction
from fakellm.recordings.redaction import UnsearchableError, redacted
from fakellm.scenarios.loader import dump_json, parse
from fakellm.scenarios.matching import When
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


def imported(sources: Sequence[Cassette | FixtureFile], name: str = "imported") -> tuple[Scenario, list[Imported]]:
    """A scenario whose rules answer as recorded, without secrets, and how each interaction was imported. The rules of
    fixtures come first, in their order."""
    recorded: list[_Recorded] = []
    scripted: list[ScriptedRule] = []
    report: list[Imported] = []
    for source in sources:
        if isinstance(source, FixtureFile):
            fixtures = [(place, _loadable(rule)) for place, rule in source.rules]
            scripted += (rule for _, rule in fixtures if isinstance(rule, ScriptedRule))
            report += starmap(_scripted, fixtures)
            continue
        found = list(_each(source))
        recorded += (each for _, each in found if isinstance(each, _Recorded))
        in_order = (each for _, each in sorted(found, key=itemgetter(0)))
        report += (each.report if isinstance(each, _Recorded) else each for each in in_order)
    recorded = _in_one_dialect(recorded)
    answered = [each.answered for each in recorded]
    made = {each.report.name: each.report for each in recorded}
    rules, hidden = joined(scripted)
    unreached = "no request reaches it: an earlier one matches every request that it matches"
    report = [Imported(each.name, "left out", reason=unreached) if each.name in hidden else each for each in report]
    report = [made.get(each.name, each) for each in report]
    return Scenario(name=name, rules=(*rules, *distinguished(answered))), report


def _each(cassette: Cassette) -> Iterator[tuple[int, _Recorded | Imported]]:
    """The interactions of a recording by their numbers in it: the rule of each, or why it is left out."""
    for number, reason in cassette.damaged.items():
        yield number, Imported(f"{cassette.name}#{number}", "left out", reason=f"damaged: {reason}")
    for number, interaction in cassette.numbered():
        place = f"{cassette.name}#{number}"
        try:
            yield number, _recorded(interaction, place)
        except LeftOutError as error:
            yield number, Imported(place, "left out", reason=str(error))


def _scripted(place: str, rule: ScriptedRule | str) -> Imported:
    if isinstance(rule, str):
        return Imported(place, "left out", reason=rule)
    return Imported(place, "meaning", reason=rule.note)


def _loadable(rule: ScriptedRule | str) -> ScriptedRule | str:
    """The rule of a fixture, or why there is none, or why no file can have it."""
    return rule if isinstance(rule, str) else _unwritable(rule.rule) or rule


class _Recorded(Struct, frozen=True):
    """The rule of an interaction with its request, the report on it, and what it was made of: the API, the frames that
    it must send (none for a literal response) with their kind (None for a whole body), and what broke them."""

    answered: AnsweredRequest
    report: Imported
    route: Route
    pieces: Sequence[bytes] = ()
    kind: Kind | None = None
    broken: Broken | None = None


def _in_one_dialect(recorded: Sequence[_Recorded]) -> list[_Recorded]:
    """The rules, those for the same request in one dialect, because all replies of a rule have one."""
    groups: dict[object, list[_Recorded]] = {}
    for each in recorded:
        groups.setdefault(identity(each.answered), []).append(each)
    dialects = {
        key: next(
            (each for each in group if each.report.outcome in ("meaning", "patch")), group[0]
        ).answered.rule.dialect
        for key, group in groups.items()
    }
    return [_in_dialect(each, dialects[identity(each.answered)]) for each in recorded]


def _in_dialect(each: _Recorded, dialect: str | None) -> _Recorded:
    rule, request = each.answered.rule, each.answered.request
    if rule.dialect == dialect:
        return each
    place = each.report.name
    rule = replace(rule, dialect=dialect)
    if not each.pieces:
        return replace(each, answered=replace(each.answered, rule=rule))
    rule = replace(rule, name=place, patch=(), fault=None)
    if each.broken:
        rule = broken_as(rule, each.broken, each.pieces, request, each.route)
    else:
        rule = replace(rule, patch=long_edits(frames_of(rule, request, each.route), each.pieces))
    report = _report(rule, place, each.pieces, each.kind, each.broken)
    return replace(each, answered=replace(each.answered, rule=replace(rule, name=None)), report=report)


def _recorded(interaction: Interaction, place: str) -> _Recorded:
    """The rule of an interaction."""
    recorded = interaction.request
    path = served_path(recorded)
    if path is None:
        raise LeftOutError(f"not a request for a reply that fakellm serves: {recorded.method} {recorded.url}")
    try:
        interaction = redacted(interaction)
        request = request_of(interaction.request, path)
    except UnsearchableError as error:
        raise LeftOutError(str(error)) from None
    except RequestError as error:
        raise LeftOutError(f"fakellm refuses the request: {error.message}") from None
    known = bool(interaction.request.body)
    found = _answered(interaction, request, known, place, route_of(path))
    if problem := _problem(found.answered):
        raise LeftOutError(problem)
    return found


def _answered(interaction: Interaction, request: Request, known: bool, place: str, route: Route) -> _Recorded:
    plan = interaction.response
    content_type = next((value for key, value in plan.headers if key.lower() == "content-type"), "")
    kind = kind_of(content_type) or _kind_in(plan.body, request)
    if reason := _not_a_reply(plan, kind, request, known):
        if plan.status is not None and not 200 <= plan.status <= 999:
            raise LeftOutError(f"the status {plan.status} answers no request")
        request = request if known else replace(request, stream=kind is not None)
        report = Imported(place, "literal", 1, 1, reason)
        return _Recorded(AnsweredRequest(request, literal_rule(plan, content_type), known), report, route)
    pieces = kind.blocks(plan.body) if kind else [plan.body]
    request = replace(request, stream=kind is not None)
    broken = _broken(plan, pieces, kind, request, route)

    def rule_of(pieces: Sequence[bytes]) -> Rule:
        rule = reply_rule(interaction.request.url, pieces, kind, request, route)
        return accepted(replace(rule, name=place), request, route)

    rule = patched(rule_of, pieces, request, route)
    if broken and is_error(broken) and not rule.patch:
        broken = None
    if kind and not broken:
        broken = damaged(pieces, literal_places(rule.patch), kind)
    if broken:
        pieces = pieces if kind else [plan.body.ljust(announced(plan))]
        rule = broken_as(rule_of(broken.pieces), broken, pieces, request, route)
    report = _report(rule, place, pieces, kind, broken)
    return _Recorded(AnsweredRequest(request, replace(rule, name=None), known), report, route, pieces, kind, broken)


def _report(rule: Rule, place: str, pieces: Sequence[bytes], kind: Kind | None, broken: Broken | None) -> Imported:
    total, literal = len(pieces), sum(len(edit.frames) for edit in rule.patch)
    outcome: Any = "literal" if literal >= total else "patch" if rule.patch else "meaning"
    usual = "it is not a completion that a rule can spell" if outcome == "literal" else ""
    reasons = [broken.what if broken else "", damage(pieces, literal_places(rule.patch), kind) if kind else ""]
    return Imported(place, outcome, literal, total, "; ".join(filter(None, reasons)) or usual)


def _not_a_reply(plan: Plan, kind: Kind | None, request: Request, known: bool) -> str:
    """Why a response is not a reply in the form that was requested; empty if it is one."""
    if plan.status != 200:
        end = "" if plan.end in ("complete", "close") or plan.status is None else f", and then {plan.end}"
        return f"HTTP {plan.status or 'without an answer'}{end}"
    if known and (kind is not None) != request.stream:
        return "no stream" if request.stream else "no stream was requested"
    return ""


def _broken(plan: Plan, pieces: Sequence[bytes], kind: Kind | None, request: Request, route: Route) -> Broken | None:
    """What broke the reply; None if it is whole."""
    if plan.end not in ("complete", "hang_up"):
        return cut(plan, pieces, kind is not None)
    if kind is None:
        return None
    return error_in(pieces, kind) or (cut(plan, pieces, True) if is_cut(pieces, kind, request, route) else None)


def _kind_in(body: bytes, request: Request) -> Kind | None:
    """The kind of a stream that only its first bytes show; None if it is none."""
    start = body.lstrip()
    if start.startswith((b"data:", b":", b"event:")):
        return SSE
    return ARRAY if request.stream and start.startswith(b"[") else None


def _problem(answered: AnsweredRequest) -> str:
    """Why a rule cannot be written to a file, with conditions on all that its request has; empty if it can."""
    when = exactly(answered.request) if answered.known else When()
    return _unwritable(replace(answered.rule, when=when))


def _unwritable(rule: Rule) -> str:
    """Why a rule cannot be written to a file; empty if it can."""
    text = dump_json(rule)
    if _HALF.search(text):
        return "it has half of a surrogate pair, which YAML cannot express"
    try:
        parse(text, "rule")
    except ScenarioError as error:
        return "; ".join(_PLACE.sub("", problem) for problem in error.problems)
    return ""


_PLACE = re.compile(r"^rule:\d+:\d+: (rules\[0\]\.)?")
"""The place of a problem in the text of one rule, which nobody sees."""
_HALF = re.compile(r"(?<!\\)(?:\\\\)*\\ud[89a-f]")
"""In JSON in which nothing else is escaped that need not be."""
