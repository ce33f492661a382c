"""Turns recordings into rules by meaning: reads each reply, renders it again, and patches frames that differ.

Knows no files: it takes cassettes, and returns a scenario and a report. Reads every API through its protocol, except
chat, whose dialects `chat_rule` tries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.openai.urls import with_model
from fakellm.apis.route import CHAT, REPLIES, Route, api_named, target
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.base.validation import FieldError
from fakellm.engine.render import render
from fakellm.faults import Close, Status
from fakellm.faults.base import check_header
from fakellm.importing.chat_rule import chat_rule
from fakellm.importing.distinguish_rules import distinguished, exactly
from fakellm.importing.long_edits import literal_places, long_edits
from fakellm.importing.patched_texts import repeated_texts
from fakellm.model.fold import fold
from fakellm.model.request import Request
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.redaction import UnsearchableError, redacted
from fakellm.recordings.request_identity import api, path_of
from fakellm.scenarios.loader import dump_json, parse
from fakellm.scenarios.matching import When
from fakellm.scenarios.reply import Reply, reply_of
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.streaming.observe import observe, renumbered
from fakellm.wire.frame_edits import Edit
from fakellm.wire.framing import Framing
from fakellm.wire.kinds import ARRAY, SSE, Kind, kind_of
from fakellm.wire.plan import Plan

_UNKNOWN = RecordedRequest("POST", "", body=b'{"model":"m","messages":[{"role":"user","content":""}],"stream":true}')
"""The request for a recording without one."""


class Imported(Struct, frozen=True):
    """One interaction and how it was imported: `frames` of its `total` frames are literal."""

    name: str
    outcome: Literal["meaning", "patch", "literal", "left out"]
    frames: int = 0
    total: int = 0
    reason: str = ""


def imported(cassettes: Sequence[Cassette], name: str = "imported") -> tuple[Scenario, list[Imported]]:
    """A scenario whose rules answer as recorded, without secrets, and how each interaction was imported."""
    rules: list[tuple[Request | None, Rule]] = []
    report: list[Imported] = []
    for cassette in cassettes:
        for number, interaction in enumerate(cassette.interactions):
            place = f"{cassette.name}#{number}"
            url = interaction.request.url
            route = _route(interaction.request)
            if route is None:
                report.append(Imported(place, "left out", reason=f"not a request for a reply: {url}"))
                continue
            try:
                known = redacted(interaction)
            except UnsearchableError as error:
                report.append(Imported(place, "left out", reason=str(error)))
                continue
            request, rule, became = _rule(known, place, route)
            if rule is not None and (problem := _problem(request, rule)):
                rule, became = None, Imported(place, "left out", reason=problem)
            report.append(became)
            if rule is not None:
                rules.append((request, rule))
    return Scenario(name=name, rules=distinguished(rules)), report


def _rule(interaction: Interaction, place: str, route: Route) -> tuple[Request | None, Rule | None, Imported]:
    """The request, the rule that answers it as recorded, and the report on it."""
    known = bool(interaction.request.body)
    try:
        request = _request(interaction.request if known else _example(interaction.request, route), route)
    except RequestError as error:
        return None, None, Imported(place, "left out", reason=f"the request is not a chat: {error.message}")
    plan = interaction.response
    kind = next((value for key, value in plan.headers if key.lower() == "content-type"), "")
    stream = kind_of(kind) or _kind_in(plan.body, request)
    streamed = stream is not None
    if plan.status != 200 or (known and streamed != request.stream):
        reason = (
            f"HTTP {plan.status or 'without an answer'}"
            if plan.status != 200
            else "no stream was requested"
            if streamed
            else "no stream"
        )
        if plan.status is not None and not 200 <= plan.status <= 999:
            return None, None, Imported(place, "left out", reason=f"the status {plan.status} answers no request")
        return request if known else None, _literal(plan, kind), Imported(place, "literal", 1, 1, reason)
    pieces = stream.blocks(plan.body) if stream else [plan.body]
    request = replace(request, stream=streamed)
    try:
        rule, patch, literal = _shortest(interaction.request.url, pieces, stream, request, route, place)
    except RequestError as error:  # only another provider than the guessed one allows it
        return None, None, Imported(place, "left out", reason=f"the request is refused: {error.message}")
    outcome: Any = "literal" if literal >= len(pieces) else "patch" if patch else "meaning"
    lost = "" if plan.end == "complete" else f"how it broke off is not imported: {plan.end}"
    lost = lost or ("it is not a completion that a rule can spell" if outcome == "literal" else "")
    became = Imported(place, outcome, literal, len(pieces), lost)
    return request if known else None, replace(rule, patch=patch), became


def _shortest(
    url: str, pieces: Sequence[bytes], stream: Kind | None, request: Request, route: Route, place: str
) -> tuple[Rule, tuple[Edit, ...], int]:
    """The rule for these pieces, its patch, and how many pieces are literal in it. No text of a literal piece is in the
    reply too: if it would be, the rule is made of the other pieces alone."""
    read = pieces
    for _ in range(2):
        rule = _read(url, read, stream, request, route)
        settings = route.settings(rule.stream, rule.dialect, request, 0, request.stream)
        made = [frame.data for frame in render(replace(rule, name=place), request, 0, route).frames]
        patch = long_edits(made, pieces)
        if not any(repeated_texts(made, patch, route, settings.habits, request.stream)):
            return rule, patch, sum(len(edit.frames) for edit in patch)
        odd = literal_places(patch)
        read = [piece for number, piece in enumerate(pieces) if number not in odd]
        if not read:
            break
    empty = Rule(reply=Reply(content=""), dialect=rule.dialect)
    made = [frame.data for frame in render(replace(empty, name=place), request, 0, route).frames]
    return empty, long_edits(made, pieces), len(pieces)


def _read(url: str, pieces: Sequence[bytes], stream: Kind | None, request: Request, route: Route) -> Rule:
    """The rule for these pieces of a stream, or for the one of a whole body; its reply is empty if they say nothing."""
    if route is CHAT:
        return chat_rule(url, pieces, request)
    return (_played(pieces, stream, route) if stream else _folded(pieces[0], route)) or Rule(reply=Reply(content=""))


def _problem(request: Request | None, rule: Rule) -> str:
    """Why a rule cannot be written to a file, with conditions on all that its request has; empty if it can."""
    text = dump_json(replace(rule, when=When() if request is None else exactly(request)))
    if _HALF.search(text):
        return "it has half of a surrogate pair, which YAML cannot express"
    try:
        parse(text, "rule")
    except ScenarioError as error:
        return error.problems[0]
    return ""


_HALF = re.compile(r"(?<!\\)(?:\\\\)*\\ud[89a-f]")
"""In JSON in which nothing else is escaped that need not be."""


def _kind_in(body: bytes, request: Request) -> Kind | None:
    """The kind of a stream that only its first bytes show; None if it is none."""
    start = body.lstrip()
    if start.startswith((b"data:", b":", b"event:")):
        return SSE
    return ARRAY if request.stream and start.startswith(b"[") else None


def _literal(plan: Plan, kind: str) -> Rule:
    """The rule that sends the response literally, with the headers that state when a client may retry."""
    if plan.status is None:
        return Rule(reply=Reply(), fault=Close(at="start"))
    headers = {name: value for name, value in plan.headers if name.lower() in _KEPT and _is_sendable(value)}
    body, content_type = plan.body.decode("utf-8", "replace"), kind if kind and _is_sendable(kind) else None
    return Rule(reply=Reply(), fault=Status(status=plan.status, body=body, content_type=content_type, headers=headers))


def _is_sendable(value: str) -> bool:
    """Whether a rule can send the value of a header."""
    try:
        check_header((), value)
    except FieldError:
        return False
    return True


_KEPT = ("retry-after", "retry-after-ms", "x-should-retry", "location")


def _route(recorded: RecordedRequest) -> Route | None:
    """The API that a request belongs to; chat if nothing shows which; None for one whose replies are not imported."""
    tail = api(recorded.url)
    for path in (path_of(recorded.url), f"/v1/{tail}"):
        found = target(path)
        if found.route in REPLIES and found.api not in _NOT_IMPORTED:
            return api_named(found.api)
    return CHAT if tail == _WRITER or not recorded.body else None


_WRITER = "chat"
"""Writer's path for chat."""
_NOT_IMPORTED = ("completions",)


def _request(recorded: RecordedRequest, route: Route) -> Request:
    """The request. Clients of Azure may name the model only in the URL."""
    model = target(path_of(recorded.url)).model if route is CHAT else None
    body = recorded.body if model is None else with_model(recorded.body, model)
    _, mark, query = recorded.url.partition("#")[0].partition("?")
    return route.parse(body, {}, path_of(recorded.url) + mark + query)


def _example(recorded: RecordedRequest, route: Route) -> RecordedRequest:
    """The request for a recording without its body."""
    if route is CHAT:
        return _UNKNOWN
    return replace(recorded, body=msgspec.json.encode(route.example()))


def _played(pieces: Sequence[bytes], kind: Kind, route: Route) -> Rule | None:
    """The rule that plays a stream as it was divided; None if nothing in it can be read."""
    events = kind.events(b"".join(pieces))
    try:
        habits, drawn = route.infer(events)
        batches = renumbered(route.read(events, habits))
    except (ValueError, KeyError, TypeError):
        return None
    framed = kind.framing(pieces)
    dialect, spelled = route.block(habits)
    usual = route.usual(dialect).sse or Framing()
    stream = replace(spelled, score=observe(batches), sse=None if framed == usual else framed)
    return Rule(reply=reply_of(fold(batches)[0], drawn), stream=stream, dialect=dialect)


def _folded(body: bytes, route: Route) -> Rule | None:
    """The rule whose reply is a whole body; None if the body cannot be read."""
    try:
        habits, drawn = route.infer_whole(body)
        dialect, spelled = route.block(habits)
        return Rule(reply=reply_of(fold(route.read_whole(body, habits))[0], drawn), stream=spelled, dialect=dialect)
    except (ValueError, KeyError, TypeError):
        return None
