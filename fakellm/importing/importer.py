"""Recordings to rules of meaning: each reply read upwards, said again, and patched where that is not what was recorded.

Knows no files: cassettes in, a scenario and a report out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.reader import read_body
from fakellm.apis.chat.variation import PLAIN, Spelling, Variation
from fakellm.apis.openai.urls import target, with_model
from fakellm.base.errors import RequestError, StreamError
from fakellm.engine.render import render
from fakellm.faults import Close, Status
from fakellm.importing.distinguish_rules import told_apart
from fakellm.importing.guess_provider import dialects, of_host
from fakellm.importing.infer import infer
from fakellm.model.completion import Completion
from fakellm.model.request import Request, parse
from fakellm.recordings.cassette import Asked, Cassette, Interaction
from fakellm.recordings.redaction import redacted
from fakellm.recordings.request_identity import api
from fakellm.scenarios.scenario import Reply, Rule, Scenario, reply_of
from fakellm.wire.frame_edits import edits
from fakellm.wire.plan import Plan
from fakellm.wire.unframing import blocks, data_of, framing

_APIS = ("chat/completions", "chat")
"""Writer's is the latter."""

_UNKNOWN = Asked("POST", "", body=b'{"model":"m","messages":[{"role":"user","content":""}],"stream":true}')
"""What is asked by a recording that does not know what it was asked."""


class Imported(Struct, frozen=True):
    """One interaction and what became of it. `frames` of them are word for word, of `total`."""

    name: str
    outcome: Literal["meaning", "patch", "literal", "left out"]
    frames: int = 0
    total: int = 0
    reason: str = ""


def imported(cassettes: Sequence[Cassette], name: str = "imported") -> tuple[Scenario, list[Imported]]:
    """A scenario whose rules answer as the recordings do, without their secrets, and what became of each of them."""
    rules: list[tuple[Request | None, Rule]] = []
    report: list[Imported] = []
    for cassette in cassettes:
        for number, interaction in enumerate(cassette.interactions):
            place = f"{cassette.name}#{number}"
            if api(interaction.request.url) not in _APIS and interaction.request.body:
                report.append(Imported(place, "left out", reason=f"no chat: {interaction.request.url}"))
                continue
            asked, rule, became = _rule(redacted(interaction), place)
            report.append(became)
            if rule is not None:
                rules.append((asked, rule))
    return Scenario(name=name, rules=told_apart(rules)), report


def _rule(interaction: Interaction, place: str) -> tuple[Request | None, Rule | None, Imported]:
    """The request, and the rule that answers it as recorded."""
    known = bool(interaction.request.body)
    try:
        request = _asked(interaction.request if known else _UNKNOWN)
    except RequestError as error:
        return None, None, Imported(place, "left out", reason=f"the request is no chat: {error.message}")
    plan = interaction.response
    kind = next((value for key, value in plan.headers if key.lower() == "content-type"), "")
    streamed = "event-stream" in kind or plan.body.lstrip(b"\r\n").startswith((b"data:", b":"))
    if plan.status != 200 or (known and streamed != bool(request.chat.stream)):
        reason = (
            f"HTTP {plan.status or 'without an answer'}"
            if plan.status != 200
            else "no stream was asked for"
            if streamed
            else "no stream"
        )
        return request if known else None, _literal(plan, kind), Imported(place, "literal", 1, 1, reason)
    pieces = blocks(plan.body) if streamed else [plan.body]
    request = parse(msgspec.json.encode(request.body | {"stream": streamed}))
    said = _stream(interaction, pieces, request) if streamed else _body(interaction, pieces[0])
    rule = said or Rule(reply=Reply(content=""))
    made = [frame.data for frame in render(replace(rule, name=place), request, 0).frames]
    patch = edits(made, pieces)
    literal = sum(len(edit.frames) for edit in patch)
    outcome: Any = "literal" if literal >= len(pieces) else "patch" if patch else "meaning"
    lost = "" if plan.end == "complete" else f"how it broke off is not imported: {plan.end}"
    found = Imported(place, outcome, literal, len(pieces), lost)
    return request if known else None, replace(rule, patch=patch), found


def _literal(plan: Plan, kind: str) -> Rule:
    """The rule that sends the response as it is, with the headers that tell a client when to come back."""
    if plan.status is None:
        return Rule(reply=Reply(), fault=Close(at="start"))
    headers = {name: value for name, value in plan.headers if name.lower() in _KEPT}
    body = plan.body.decode("utf-8", "replace")
    return Rule(reply=Reply(), fault=Status(status=plan.status, body=body, content_type=kind or None, headers=headers))


_KEPT = ("retry-after", "retry-after-ms", "x-should-retry", "location")


def _asked(asked: Asked) -> Request:
    """The request. Azure's clients may name the model in the URL alone."""
    model = target(urlsplit(asked.url).path).model
    return parse(asked.body if model is None else with_model(asked.body, model))


def _stream(interaction: Interaction, pieces: Sequence[bytes], request: Request) -> Rule | None:
    """The rule that says a stream, as nearly as any dialect lets it; None where nothing in it is a chunk."""
    said = [data for piece in pieces if (data := data_of(piece)) is not None]
    chunks = [data for data in said[: said.index("[DONE]") if "[DONE]" in said else None] if _is_chunk(data)]
    best: tuple[float, Rule] | None = None
    for name in dialects(interaction.request.url, chunks):
        dialect = DIALECTS[name]
        try:
            completion, variation = infer(chunks, dialect)
        except StreamError:
            continue
        framed = framing(pieces)
        usual = dialect.usual.over(PLAIN)
        variation = replace(
            variation,
            done=None if ("[DONE]" in said) == usual.done else "[DONE]" in said,
            sse=None if framed == (usual.sse or type(framed)()) else framed,
        )
        rule = Rule(
            reply=_reply(completion), stream=_pinned(completion, variation, usual, request), name="x", dialect=name
        )
        made = [frame.data for frame in render(rule, request, 0).frames]
        equal = sum(one == other for one, other in zip(made, pieces, strict=False)) / max(len(made), len(pieces))
        if best is None or equal > best[0]:
            best = equal, replace(rule, name=None)
        if equal == 1.0:
            break
    return best and best[1]


def _is_chunk(data: str) -> bool:
    try:
        frame = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return False
    return isinstance(frame, dict) and "error" not in frame


def _pinned(completion: Completion, variation: Variation, usual: Variation, request: Request) -> Variation:
    """The variation with usage said where it came unasked, and with what no reply can leave empty."""
    if completion.usage is not None and variation.usage is None and not request.wants_usage:
        variation = replace(variation, usage=usual.usage)
    empty = {key: value for key, value in (("id", ""), ("created", 0), ("model", "")) if not getattr(completion, key)}
    if empty:
        spelling = variation.spelling or Spelling()
        each = {key: value for key, value in (spelling.each or {}).items() if key not in empty}
        variation = replace(
            variation, spelling=replace(spelling, extra=empty | (spelling.extra or {}), each=each or None)
        )
    return variation


def _reply(completion: Completion) -> Reply:
    """The reply that says it; its envelope is given where it is not empty."""
    reply = reply_of(completion)
    return replace(reply, id=reply.id or None, created=reply.created or None, model=reply.model or None)


def _body(interaction: Interaction, body: bytes) -> Rule | None:
    """The rule that says a whole body, in OpenAI's dialect where nobody knows the provider."""
    name = of_host(interaction.request.url) or "openai"
    try:
        return Rule(reply=_reply(read_body(DIALECTS[name], body)), dialect=name)
    except StreamError:
        return None
