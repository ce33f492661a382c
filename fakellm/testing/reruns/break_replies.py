"""Breaks one reply of a test on purpose. Owns which faults are tried, and what a client must not make of them.

Knows no pytest: `rerun` runs the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fakellm import faults
from fakellm.apis.route import Route
from fakellm.faults import Fault
from fakellm.fuzzing.report import scenario
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.testing.reruns.vary import shown

FAULTS: tuple[Fault, ...] = (
    faults.Close(frame=1),
    faults.Status(status=429),
    faults.Error(shape="data", frame=1),
    faults.Empty(),
    faults.Truncated(frame=1),
    faults.Status(status=500),
    faults.Eof(frame=1),
    faults.Malformed(frame=1),
    faults.Html(),
    faults.Stall(frame=1),
    faults.Stall(at="start"),
    faults.Reset(frame=1),
    faults.OnlyDone(),
    faults.Error(shape="event", frame=1),
    faults.OnlyComments(),
    faults.Close(at="headers"),
    faults.Status(status=503),
    faults.Close(at="start"),
)
"""Faults after which a client has at most the beginning of an answer."""


class BrokenRun:
    """Injects a fault into every reply to one of a test's requests, counted from 0, however often it is repeated."""

    def __init__(self, fault: Fault, place: int) -> None:
        self.fault = fault
        self.sent: Rule | None = None
        """The rule of the reply that was broken; None if there was none."""
        self.attempts = 0
        self.answered_later = False
        """Whether a whole reply was sent after a broken one."""
        self._place = place
        self._digests: list[str] = []  # of the requests up to that one

    def __call__(self, rule: Rule, request: Request, route: Route, seed: int) -> Rule:
        if len(self._digests) <= self._place and request.digest not in self._digests:
            self._digests.append(request.digest)
        if rule.fault:  # the test is about an error
            return rule
        if self._digests[self._place :] != [request.digest] or not self.fault.applies(request.stream):
            self.answered_later = self.sent is not None
            return rule
        self.attempts += 1
        self.sent = msgspec.structs.replace(rule, fault=self.fault)
        return self.sent


def runs(count: int) -> Iterator[BrokenRun]:
    """So many runs: each fault in the reply to the first request, then to the second, and so on."""
    return (BrokenRun(FAULTS[number % len(FAULTS)], number // len(FAULTS)) for number in range(count))


def finding(run: BrokenRun, passed: bool, hung: bool, patience: float) -> str | None:
    """What a run shows about the client; None if nothing."""
    if run.sent is None:
        return None
    if hung:
        return f"The test did not end within {patience:g} s after a reply of its client was broken."
    if passed and not run.answered_later:
        return "The test passes although a reply of its client was broken, and no whole one was sent afterwards."
    return None


def report(run: BrokenRun, finding: str, test: str, count: int) -> str:
    """The finding, with the fault as a scenario."""
    repeated, rules = run.attempts, () if run.sent is None else (shown(run.sent),)
    return "\n".join(
        (
            f"{finding} The fault is {run.fault.kind!r}{f', in each of {repeated} attempts' if repeated > 1 else ''}.",
            "",
            "   Scenario:",
            scenario(Scenario(rules=rules)),
            "",
            f"   To reproduce: pytest '{test}' --fakellm-faults {count}",
        )
    )
