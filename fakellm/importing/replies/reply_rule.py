"""Reads a recorded reply by meaning: the rule that sends it, in any API. Chat's dialects are tried by `chat_rule`."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from fakellm.apis.route import CHAT, Route
from fakellm.base.errors import StreamError
from fakellm.importing.chat_rule import chat_rule
from fakellm.importing.replies.broken_reply import is_readable
from fakellm.model.fold import fold
from fakellm.model.request import Request
from fakellm.scenarios.reply import Reply, reply_of
from fakellm.scenarios.scenario import Rule
from fakellm.streaming.observe import observe, renumbered
from fakellm.wire.framing import Framing
from fakellm.wire.kinds import Kind

_UNREADABLE = (StreamError, ValueError, KeyError, TypeError)
"""What is raised for events that are not those of an API."""


def reply_rule(url: str, pieces: Sequence[bytes], kind: Kind | None, request: Request, route: Route) -> Rule:
    """The rule that comes nearest to a recorded stream in these pieces, or to the one piece of a whole body. Its reply
    is empty if nothing in the recording can be read.

    url: of the recorded request; its host names the provider. kind: of the stream; None for a whole body.
    """
    if route is CHAT:
        return chat_rule(url, pieces, request)
    found = _played(pieces, kind, route) if kind else _folded(pieces[0], route)
    return found or Rule(reply=Reply(content=""))


def is_cut(pieces: Sequence[bytes], kind: Kind, request: Request, route: Route) -> bool:
    """Whether a stream with content ends before the event that ends it in its API."""
    events = kind.events(b"".join(pieces) + b"\n\n")
    for readable in (events, events[:-1]):  # the last one may be cut itself
        try:
            habits, _ = route.infer(readable)
            completion, end = fold(route.read(readable, habits, request.choices))
            return end is None and bool(completion.choices)
        except _UNREADABLE:
            continue
    return False


def _played(pieces: Sequence[bytes], kind: Kind, route: Route) -> Rule | None:
    """The rule that plays a stream as it was divided; None if nothing in it can be read. Its last event counts even
    without a blank line, which files lose."""
    last = b"\n\n" if pieces and is_readable(pieces[-1], kind) else b""
    events = kind.events(b"".join(pieces) + last)
    try:
        habits, drawn = route.infer(events)
        batches = renumbered(route.read(events, habits))
    except _UNREADABLE:
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
    except _UNREADABLE:
        return None
