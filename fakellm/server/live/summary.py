"""One line about a request and its reply, as a list of many shows it. Owns what is shown of a request, without secrets.

Knows no session and no journal.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from fakellm.engine.entry import Entry, Kept
from fakellm.model.request import Request

MOST_USER = 200
"""Characters of the user's message that are shown."""

_SEARCHED = 16 * 1024
"""Characters of a longer message that are searched for secrets: the longest that lies across the end of what is shown
ends before."""


class Facts(Struct, frozen=True):
    """What a request asks for, in terms that all APIs share; all null if it is not for a model, or not valid."""

    model: str | None = None
    stream: bool | None = None
    turn: int | None = None
    user: str | None = None
    """The start of the user's last message."""


NONE = Facts()


class Summary(Struct, frozen=True, kw_only=True):
    """A request and its reply. The fields are those of an entry of the journal, and of `Facts`.

    stepped: whether frames of the reply wait for a step. duration: seconds from its arrival to the end of its reply.
    """

    session: str
    number: int
    method: str
    path: str
    api: str | None
    model: str | None
    stream: bool | None
    turn: int | None
    user: str | None
    rule: str | None
    matched: bool
    status: int | None
    fault: str | None
    frames: int
    frames_sent: int
    stepped: bool
    outcome: str
    started: float | None
    duration: float | None
    late_ms: float
    explanation: str | None


def facts_of(request: Request | None, entry: Entry) -> Facts:
    """What is shown of the request of an entry; `request`: as rules match it."""
    if request is None:
        return NONE
    shown = _covering(entry.request.secrets if isinstance(entry.request, Kept) else frozenset())
    return Facts(shown(request.model), request.stream, request.turn, shown(request.user))


def summary(session: str, entry: Entry, facts: Facts) -> Summary:
    """The line about an entry of a session."""
    ended = not entry.under_way and entry.ended is not None and entry.started is not None
    return Summary(
        session=session,
        number=entry.number,
        method=entry.method,
        path=entry.path,
        api=entry.api,
        model=facts.model,
        stream=facts.stream,
        turn=facts.turn,
        user=facts.user,
        rule=entry.rule,
        matched=entry.matched,
        status=entry.status,
        fault=entry.fault,
        frames=entry.frames,
        frames_sent=entry.frames_sent,
        stepped=_waits_for_steps(entry),
        outcome=entry.outcome,
        started=entry.started,
        duration=round((entry.ended or 0) - (entry.started or 0), 6) if ended else None,
        late_ms=entry.late_ms,
        explanation=entry.explanation,
    )


def _waits_for_steps(entry: Entry) -> bool:
    response = entry.request.response if isinstance(entry.request, Kept) else None
    return entry.under_way and response is not None and response.stepped


def _covering(secrets: frozenset[str]) -> Callable[[str], str]:
    """A function that returns the start of a text without secrets, as text that UTF-8 can encode."""
    from fakellm.base.secrets.search import cover  # most servers never need it

    covered = cover(secrets)

    def shown(text: str) -> str:
        searched = text[:_SEARCHED].encode("utf-8", "replace").decode("latin-1")  # the search knows bytes
        return covered(searched).encode("latin-1").decode("utf-8", "replace")[:MOST_USER]

    return shown
