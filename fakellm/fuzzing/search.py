"""Collects failures, each shrunk and counted under its cause. Owns the causes; does not know where cases come from.

The cause of a failure is the set of steps that it needs; on the plain wire, it is what the client got wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from fakellm.apis.route import CHAT, Route
from fakellm.fuzzing.draws.profiles import DEFAULT
from fakellm.fuzzing.oracle.verdicts import Verdict
from fakellm.fuzzing.shrinking.shrink import shrink
from fakellm.fuzzing.tiers import WireStep
from fakellm.fuzzing.trial import JudgedCase, Trial
from fakellm.scenarios.scenario import Rule


class Search(Struct, frozen=True, kw_only=True):
    """The settings of a run. deadline: seconds after which a client has hung. max_failures: of different causes.
    api: what its requests are for."""

    profile: str = DEFAULT
    examples: int = 200
    seed: int = 0
    exclude: tuple[str, ...] = ()
    max_failures: int = 1
    deadline: float = 10.0
    api: Route = CHAT


class ClientFailure(Struct):
    """A failing case, shrunk, and how many cases failed for the same cause.

    before: the rule that must be answered first for this one to fail, since the client carries something over.
    intermittent: the case passed when it was repeated, as did too many others for a busy machine to explain it.
    """

    case: JudgedCase
    count: int = 1
    before: Rule | None = None
    intermittent: bool = False

    @property
    def cause(self) -> tuple[str, ...]:
        """The steps that it needs, wherever they cut; without any, what the client got wrong."""
        verdict = self.case.verdict
        return tuple(map(_general, self.case.steps)) or (verdict.outcome, verdict.field)


def _general(step: WireStep) -> str:
    key = step.name.partition(": ")[0]
    return key if key.startswith(("split.", "transfer.cut")) else step.name


class Outcome(Struct):
    """What a run found.

    compared: the fields that the client reports. internal: errors that were right to raise but are those of the
    language, by type; internal_cases: the first case of each type. unsteady: how many cases failed once and passed when
    repeated, as on a machine that is too busy. skipped: how many saved failures were not tried, since the profile does
    not contain them. interrupted: whether the run was ended from outside, as by Ctrl+C.
    """

    search: Search
    compared: frozenset[str] = frozenset()
    cases: int = 0
    failures: list[ClientFailure] = []
    internal: dict[str, int] = {}
    internal_cases: dict[str, JudgedCase] = {}
    unsteady: int = 0
    skipped: int = 0
    interrupted: bool = False


_INTERMITTENT = 3
"""From this number of cases on, and from one in a hundred, passing when repeated is no coincidence."""
_TRIES = 300
_TRIES_WITH_RESTART = 40
"""How many smaller rules to try for a failure. A driver that dies has to be restarted for each."""


class FailureSearch:
    """Judges one case after the other and keeps the failures in an Outcome."""

    def __init__(self, trial: Trial, outcome: Outcome, progress: Callable[[int], None]) -> None:
        self._trial = trial
        self._outcome = outcome
        self._progress = progress
        self._before: Rule | None = None
        self._unsteady: JudgedCase | None = None
        outcome.compared = trial.reported

    def judge(self, rule: Rule) -> bool:
        """Judges a rule. Returns whether to go on: not once enough causes of failure are known."""
        case = self._trial.judge(rule)
        verdict = case.verdict
        self._outcome.cases += 1
        self._progress(self._outcome.cases)
        if verdict.internal:
            self._outcome.internal[verdict.internal] = self._outcome.internal.get(verdict.internal, 0) + 1
            self._outcome.internal_cases.setdefault(verdict.internal, case)
        if verdict.failed and not self._is_known(case):
            self._add(case)
        self._before = rule
        return not self._has_enough()

    def finish(self) -> None:
        """To be called after the last case: reports an intermittent failure if there were enough of them."""
        count = self._outcome.unsteady
        if self._unsteady and count >= max(_INTERMITTENT, self._outcome.cases / 100) and not self._has_enough():
            self._outcome.failures.append(ClientFailure(self._unsteady, count, intermittent=True))

    def _has_enough(self) -> bool:
        return len(self._outcome.failures) >= self._outcome.search.max_failures

    def _is_known(self, case: JudgedCase) -> bool:
        """Whether a known cause explains this failure, which is then counted there."""
        steps = set(map(_general, case.steps))
        wrong = (case.verdict.outcome, case.verdict.field)
        for failure in self._outcome.failures:
            if set(failure.cause) <= steps or (failure.cause == wrong and self._fails_on_the_plain_wire(case)):
                failure.count += 1
                return True
        return False

    def _fails_on_the_plain_wire(self, case: JudgedCase) -> bool:
        return self._trial.judge(Rule(reply=case.rule.reply)).verdict.failed

    def _add(self, case: JudgedCase) -> None:
        failure = self._repeated(case)
        if failure is None:
            self._outcome.unsteady += 1
            self._unsteady = self._unsteady or case
            return
        self._outcome.failures.append(failure)  # as it is, in case the run is interrupted
        if not failure.before and case.verdict.outcome != "hung":  # each try would cost the deadline
            self._shrink(failure)
        same = next(each for each in self._outcome.failures if each.cause == failure.cause)
        if same is not failure:
            self._outcome.failures.pop()
            same.count += 1

    def _repeated(self, case: JudgedCase) -> ClientFailure | None:
        """The failure when the case is repeated: alone, without its fault, or right after the case before it."""
        again = self._trial.judge(case.rule)
        if again.verdict.failed:
            sound = case.rule.fault and self._trial.judge(msgspec.structs.replace(case.rule, fault=None))
            return ClientFailure(sound if sound and sound.verdict.failed else case)
        if self._before is not None:
            self._trial.judge(self._before)
            again = self._trial.judge(case.rule)
        return ClientFailure(again, before=self._before) if again.verdict.failed else None

    def _shrink(self, failure: ClientFailure) -> None:
        first = failure.case.verdict

        def fails(rule: Rule) -> bool:
            again = self._trial.judge(rule)
            alike = _alike(again.verdict, first)
            if alike:
                failure.case = again
            return alike

        tries = _TRIES_WITH_RESTART if first.outcome == "driver" else _TRIES
        shrink(failure.case.rule, fails, tries, self._outcome.search.api)


def _alike(one: Verdict, other: Verdict) -> bool:
    """Whether two failures are likely to be the same: both errors, of any type, or both wrong in the same field."""
    return one.outcome == other.outcome and (one.outcome == "error" or one.field == other.field)
