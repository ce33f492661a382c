"""Judges whether a client ended its connections: read the reply to its end, or closed the connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fakellm.testing.verdicts.attempts import ClientRequest
from fakellm.testing.verdicts.finding import ClientFinding

_OPEN = {
    "sending": "has a reply that is still being sent",
    "stalled": "has a reply that stalls, and the client still waits for it",
    "server stopped": "had a reply that only the end of the server ended",
}


def connection_findings(attempts: Sequence[ClientRequest]) -> Iterator[ClientFinding]:
    """The connections that were left open."""
    for attempt in attempts:
        if (reason := _OPEN.get(attempt.entry.outcome)) is not None:
            yield ClientFinding("left-open", f"request {attempt.number} {reason}", (attempt.number,))
