"""Judges how long a client waited before it sent a request again, and how often it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from fakellm.testing.verdicts.attempts import Chain, ClientRequest
from fakellm.testing.verdicts.finding import ClientFinding

_EARLY = 0.02
"""Seconds by which a timer may end too early."""

_BACKOFF = 0.1
"""Seconds: a shorter wait is none."""

_MOST_RETRIES = 10

_EQUAL_IN_CHAIN, _EQUAL_CHAINS = 3, 4
"""How many waits are equal by chance too rarely to matter: one after the other, or as the same retry of several
requests."""


class Wait(Struct, frozen=True):
    """The wait between two attempts.

    seconds: how long it was, with those that a test let pass by `advance`.
    advanced: how many those are.
    """

    before: ClientRequest
    after: ClientRequest
    seconds: float
    advanced: float


def wait_findings(chains: Sequence[Chain]) -> Iterator[ClientFinding]:
    """What was wrong with the waits."""
    waits = [_waits(chain) for chain in chains]
    for chain, each in zip(chains, waits, strict=True):
        yield from (found for number, wait in enumerate(each) if (found := _of_one(number, wait)))
        if len(each) > _MOST_RETRIES:
            numbers = tuple(attempt.number for attempt in chain)
            message = f"request {numbers[0]} was sent again {len(each)} times, the last time as request {numbers[-1]}"
            yield ClientFinding("too-often", message, numbers)
    yield from _equal(waits)


def _waits(chain: Chain) -> list[Wait]:
    return [_wait(before, after) for before, after in pairwise(chain)]


def _wait(before: ClientRequest, after: ClientRequest) -> Wait:
    advanced = max(0.0, after.entry.advanced - before.entry.advanced)
    real = max(0.0, after.started - (before.ended or after.started))
    return Wait(before, after, real + advanced, advanced)


def _of_one(number: int, wait: Wait) -> ClientFinding | None:
    """What is wrong with one wait. The first retry after a lost connection may come at once: the server may have closed
    a connection that was kept."""
    before, after, seconds = wait.before, wait.after, wait.seconds
    came = (
        f"request {before.number} {before.shown()}, and was sent again as request {after.number} {seconds:.2f} s later"
    )
    if before.due is not None:
        early = seconds < before.due - _EARLY
        return ClientFinding("too-early", came, (before.number, after.number)) if early else None
    if seconds >= _BACKOFF or not before.refused or before.again is False or (before.lost and number == 0):
        return None
    return ClientFinding("no-backoff", came, (before.number, after.number))


def _equal(waits: Sequence[Sequence[Wait]]) -> Iterator[ClientFinding]:
    """Waits without jitter: equal ones in one chain, or as the same retry of several. How long the server asked for, or
    a test let pass, is not the client's choice."""
    own = [
        [wait for wait in each if wait.before.due is None and not wait.advanced and wait.seconds >= _BACKOFF]
        for each in waits
    ]
    for each in own:
        for start in range(len(each) - _EQUAL_IN_CHAIN + 1):
            found = each[start : start + _EQUAL_IN_CHAIN]
            if _alike(found):
                yield _without_jitter(found, "one after the other")
                break
    for number in range(max(map(len, own), default=0)):
        same = sorted((each[number] for each in own if len(each) > number), key=lambda wait: wait.seconds)
        for start in range(len(same) - _EQUAL_CHAINS + 1):
            found = same[start : start + _EQUAL_CHAINS]
            if _alike(found):
                yield _without_jitter(found, f"as retry {number + 1} of {len(found)} requests")
                break


def _alike(found: Sequence[Wait]) -> bool:
    seconds = [wait.seconds for wait in found]
    return max(seconds) - min(seconds) <= 0.002 + 0.005 * max(seconds)


def _without_jitter(found: Sequence[Wait], where: str) -> ClientFinding:
    waited = ", ".join(f"{wait.seconds:.3f}" for wait in found)
    numbers = tuple(sorted(wait.after.number for wait in found))
    listed = ", ".join(map(str, numbers))
    return ClientFinding("no-jitter", f"before requests {listed} the client waited {waited} s, {where}", numbers)
