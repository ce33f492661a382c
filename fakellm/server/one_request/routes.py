"""The control routes of one request: all that is known about it, and how to send it again.

Owns what is looked up in the journal, and which work a thread does. Knows no rules.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any

from fakellm.apis.route import api_named
from fakellm.base.errors import CassetteError, RequestError
from fakellm.base.validation import shortened
from fakellm.base.words.near_miss import near_miss
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.response import Response, Work, respond
from fakellm.engine.state import Session
from fakellm.model.request import Request
from fakellm.server.application import Application, HttpRequest, Routes, parsed_entry
from fakellm.server.control.journal_view import as_json
from fakellm.server.control.shown_entry import shown_entry
from fakellm.server.offload import in_thread
from fakellm.server.one_request.conversation import ShownConversation, conversation
from fakellm.server.one_request.copies import Copied, as_curl, as_python, as_recording
from fakellm.server.one_request.hiding import inflated, is_compressed
from fakellm.server.one_request.media import marked
from fakellm.server.one_request.wire import ReplyReader, encoded, frames
from fakellm.wire.plan import Frame, Plan

FindPlan = Callable[[], tuple[Plan | None, str]]
"""Returns the plan of a reply, or why there is none."""

MOST_MEMBERS = 200_000
"""Members of JSON objects, as many as there may be by the number of colons, in a request that is shown or compared."""

_FRAMES = 100
"""Frames in one piece of JSON."""


def found_entry(app: Application, name: str, text: str | None) -> tuple[Session[Any], Entry]:
    """The session of this name, and the entry of its journal whose number a request names. Raises RequestError, status
    404."""
    session = app.find(name)
    journal = list(session.journal) if session else []
    first = journal[0].number if journal else 1
    text = text or ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if session is None or not first <= number < first + len(journal):
        there = f"it has the requests {first} to {first + len(journal) - 1}" if journal else "it is empty"
        message = f"There is no request {shortened(text)[1:-1]} in the journal of this session: {there}."
        raise RequestError(404, message, "no_such_request")
    return session, journal[number - first]


def check_size(entry: Entry) -> None:
    """Raises RequestError, status 413, if the body of an entry may have so many members that it takes long to show."""
    if isinstance(entry.request, Kept) and entry.request.body.count(b":") > MOST_MEMBERS:
        message = (
            f"Request {entry.number} has more than {MOST_MEMBERS:,} members of objects, which takes long to show: "
        )
        raise RequestError(413, f"{message}copy it with /_fakellm/requests/{entry.number}/curl.", "request_too_large")


def kept_of(entry: Entry) -> Kept:
    """What the server keeps of the request of an entry, as it is now."""
    return copy(entry.request) if isinstance(entry.request, Kept) else Kept(b"")


def _detail(app: Application, request: HttpRequest) -> Work:
    session, entry = found_entry(app, request.target.session, request.target.route.id)
    name, snapshot, kept = request.target.session, copy(entry), kept_of(entry)

    async def made() -> list[bytes]:
        check_size(entry)
        pieces: list[bytes] = (await in_thread(partial(_pieces, app, name, entry, snapshot, kept)))()
        session.journal.remeasure(entry)
        return pieces

    return Work(made, as_json)


def _pieces(app: Application, name: str, entry: Entry, snapshot: Entry, kept: Kept) -> list[bytes]:
    """The JSON of all that is known about a request, in pieces."""
    shown = shown_entry(partial(parsed_entry, app), entry, snapshot)
    talk = _conversation(app, entry, kept, shown)
    shown.request = None  # it is `body` parsed
    head = {"session": name, "number": entry.number}
    pieces = [encoded(head)[:-1], b', "entry": ', encoded(shown), b', "conversation": ', encoded(talk), b', "wire": ']
    plan, missing = shown_plan(snapshot, kept)
    if plan is None:
        return [*pieces, b'null, "missing": ', encoded(missing), b"}\n"]
    return [*pieces, *wire_pieces(plan, reading_of(app, entry), kept), b', "missing": null}\n']


def wire_pieces(plan: Plan, reading: ReplyReader | None, kept: Kept) -> Iterator[bytes]:
    """The JSON of the frames of a plan, with what surrounds them, in pieces. `kept`: of the request."""
    head = {
        "status": plan.status,
        "headers": plan.headers,
        "delimited": plan.delimited,
        "end": plan.end,
        "delay": plan.delay,
    }
    yield encoded(head)[:-1] + b', "frames": ['
    some: list[bytes] = []
    between = b""
    for frame in frames(plan, reading, kept.secrets):
        some.append(encoded(frame))
        if len(some) == _FRAMES:
            yield between + b",\n".join(some)
            some, between = [], b",\n"
    yield (between + b",\n".join(some) if some else b"") + b"]}"


def reading_of(app: Application, entry: Entry) -> ReplyReader | None:
    """How the reply to the request of an entry is read; None if it is not for a model."""
    if entry.api is None:
        return None
    return ReplyReader(api_named(entry.api), entry.dialect, parsed_entry(app, entry))


def _conversation(app: Application, entry: Entry, kept: Kept, shown: Entry) -> ShownConversation | None:
    """The request as a conversation, without secrets; None if it is not for a model, or not valid."""
    if entry.api is None or not isinstance(shown.body, str):
        return None
    try:
        body, media = marked(json.loads(shown.body), entry.api)
        text = json.dumps(body).encode()
        request: Request = app.parsed(HttpRequest(entry.method, kept.path, text, kept.headers))
    except (RequestError, ValueError, AttributeError, RecursionError):
        return None
    return conversation(request, media)


def shown_plan(snapshot: Entry, kept: Kept) -> tuple[Plan | None, str]:
    """The plan of the reply to a request, without secrets, or why there is none."""
    from fakellm.base.secrets.search import cover
    from fakellm.recordings.cassette import Interaction, RecordedRequest
    from fakellm.recordings.redaction import UnsearchableError, redacted

    if kept.response is None:
        return None, _missing(snapshot)
    plan = kept.response.plan
    try:
        return redacted(Interaction(RecordedRequest("POST", "/"), plan), kept.secrets).response, ""
    except UnsearchableError as error:
        with suppress(zlib.error):
            text = b"".join(inflated([frame.data for frame in plan.frames])).decode("latin-1")
            if is_compressed(plan.headers) and cover(kept.secrets)(text) == text:
                return plan, ""
        return None, f"The frames are not shown: {error}."


def _missing(snapshot: Entry) -> str:
    if snapshot.rule == "upstream":
        return "The recorder has passed this reply on, and the journal does not keep it."
    if snapshot.status is None and snapshot.under_way:
        return "There is no reply yet."
    return (
        "The journal does not have the frames of this reply: it takes more than 1 MiB, it stalled, or 100 others that "
        "are sent over time came after it."
    )


def _copied(app: Application, request: HttpRequest, make: Callable[[Copied, FindPlan], bytes]) -> Work:
    """The work of writing a request so that it can be sent again."""
    session, entry = found_entry(app, request.target.session, request.target.route.id)
    name, snapshot, kept = request.target.session, copy(entry), kept_of(entry)

    def written() -> bytes:
        copied = Copied(app.scheme, name, shown_entry(partial(parsed_entry, app), entry, snapshot))
        return make(copied, partial(shown_plan, snapshot, kept))

    async def run() -> bytes:
        text: bytes = (await in_thread(written))()
        session.journal.remeasure(entry)
        return text

    return Work(run, lambda result: _text(result()))


def _text(text: bytes) -> Response:
    return respond(Plan(200, (("Content-Type", "text/plain; charset=utf-8"),), (Frame(text),)))


def _curl(app: Application, request: HttpRequest) -> Work:
    return _copied(app, request, lambda copied, _: as_curl(copied))


def _python(app: Application, request: HttpRequest) -> Work:
    return _copied(app, request, lambda copied, _: as_python(copied))


def _recording(app: Application, request: HttpRequest) -> Work:
    """The recording of a request and its reply, in one of the formats that are written."""
    from fakellm.recordings.formats import WRITERS

    form = request.target.parameters.get("format", "fakellm")
    if form not in WRITERS:
        known = f"one of {', '.join(WRITERS)}, got {shortened(form)}{near_miss(form, tuple(WRITERS))}"
        raise RequestError(400, f"Invalid value for 'format': expected {known}", "invalid_value", "format")

    def made(copied: Copied, find: FindPlan) -> bytes:
        plan, missing = find()
        if plan is None:
            raise RequestError(409, missing, "reply_not_kept")
        try:
            return as_recording(copied, plan, form)
        except CassetteError as error:
            raise RequestError(409, str(error), "not_recordable") from None

    return _copied(app, request, made)


REQUESTS: Routes[Application] = {
    "/_fakellm/requests/{number}": {"GET": _detail},
    "/_fakellm/requests/{number}/curl": {"GET": _curl},
    "/_fakellm/requests/{number}/python": {"GET": _python},
    "/_fakellm/requests/{number}/recording": {"GET": _recording},
}
