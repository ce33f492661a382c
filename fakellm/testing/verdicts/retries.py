"""Judges which requests were sent again: those that must not be, and those that were not although they could be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from fakellm.testing.verdicts.attempts import Chain, ClientRequest
from fakellm.testing.verdicts.finding import ClientFinding

_PATIENCE = 60.0
"""Seconds: if a client is to wait longer, it may give up instead."""


def retry_findings(chains: Sequence[Chain], attempts: Sequence[ClientRequest]) -> Iterator[ClientFinding]:
    """What was wrong with retries, and with their absence."""
    by_user: dict[Any, list[ClientRequest]] = {}
    for attempt in attempts:
        by_user.setdefault(_user(attempt), []).append(attempt)
    for chain in chains:
        for before, after in pairwise(chain):
            yield from _sent_again(before, after)
        yield from _ended(chain, by_user.get(_user(chain[-1]), []))


def _sent_again(before: ClientRequest, after: ClientRequest) -> Iterator[ClientFinding]:
    if before.again is not False:
        return
    if before.header("x-should-retry"):
        rule, reason = "ignored-x-should-retry", f"{before.shown()} and x-should-retry: false"
    elif before.no_quota:
        rule, reason = "retried-quota", f"{before.shown()}: no quota is left"
    elif after.has_new_key(before):
        return
    else:
        rule, reason = "retried-refusal", before.shown()
    message = f"request {before.number} {reason}, and was sent again as request {after.number}"
    yield ClientFinding(rule, message, (before.number, after.number))


def _ended(chain: Chain, same_user: Sequence[ClientRequest]) -> Iterator[ClientFinding]:
    last = chain[-1]
    if last.cancelled or last.entry.outcome == "server stopped":
        return
    if len(chain) > 1 or last.again is not True or not last.refused or last.ended is None:
        return
    if (last.due or 0.0) > _PATIENCE or any(_instead(last, other) for other in same_user):
        return
    stated = last.header("x-should-retry") != ""
    rule, more = ("ignored-x-should-retry", " and x-should-retry: true") if stated else ("gave-up", "")
    yield ClientFinding(rule, f"request {last.number} {last.shown()}{more}, and was not sent again", (last.number,))


def _user(attempt: ClientRequest) -> Any:
    """The user's message and its turn; None if the request is not valid."""
    return attempt.request and (attempt.request.turn, attempt.request.user)


def _instead(failed: ClientRequest, other: ClientRequest) -> bool:
    """Whether a request with the user's message came instead of one that failed: to another model, or with another date
    in its prompt."""
    return failed.request is not None and failed.number != other.number and failed.is_before(other)
