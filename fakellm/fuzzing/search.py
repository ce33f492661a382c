"""Failures, each made as small as it gets and counted under its cause. Owns the causes, not where cases come from.

A cause is the steps that a failure needs, and what came out wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.shrinking.shrink import shrink
from fakellm.fuzzing.tiers import Step
from fakellm.fuzzing.trial import Trial, Tried
from fakellm.fuzzing.verdicts import Verdict
from fakellm.scenarios.scenario import Rule


class Search(Struct, frozen=True, kw_only=True):
    """What a run tries. deadline: seconds after which a client has hung. max_failures: of different causes."""

    profile: str = "default"
    examples: int = 200
    seed: int = 0
    exclude: tuple[str, ...] = ()
    max_failures: int = 1
    deadline: float = 10.0


class Failure(Struct):
    """A failing rule as small as it gets, and how many cases failed for the same cause.

    before: the rule that must be answered first for this one to fail: the client carries something over.
    sometimes: that it held when it was tried again, and that so many did so that it is hardly the machine's doing.
    """

    tried: Tried
    count: int = 1
    before: Rule | None = None
    sometimes: bool = False

    @property
    def cause(self) -> tuple[str, ...]:
        """The steps it takes, wherever they cut; where it takes none, what came out wrong."""
        verdict = self.tried.verdict
        return tuple(map(_general, steps_of(self.tried.rule))) or (verdict.outcome, verdict.field)


def _general(step: Step) -> str:
    key = step.name.partition(": ")[0]
    return key if key.startswith(("split.", "transfer.cut")) else step.name


class Outcome(Struct):
    """What a run found.

    compared: the fields that the client has a notion of. leaked: errors that were right to raise, but none of the
    client's own. unsteady: how many cases failed once and held when they were tried again, as on a machine that is too
    busy. interrupted: whether it was ended from outside, as by Ctrl+C.
    """

    search: Search
    compared: frozenset[str] = frozenset()
    cases: int = 0
    failures: list[Failure] = []
    leaked: dict[str, int] = {}
    unsteady: int = 0
    interrupted: bool = False


_OFTEN = 3
"""So many cases, and one in a hundred, that fail once are no accident."""


class Hunt:
    """The failures so far, and what is done with one more."""

    def __init__(self, trial: Trial, outcome: Outcome, tell: Callable[[int], None]) -> None:
        self._trial = trial
        self._outcome = outcome
        self._tell = tell
        self._before: Rule | None = None
        self._unsteady: Tried | None = None
        outcome.compared = trial.reported

    def case(self, rule: Rule) -> bool:
        """Tries a rule; whether to go on: not once as many causes of failure are known as were asked for."""
        tried = self._trial.judge(rule)
        self._outcome.cases += 1
        self._tell(self._outcome.cases)
        if tried.verdict.leaked:
            self._outcome.leaked[tried.verdict.leaked] = self._outcome.leaked.get(tried.verdict.leaked, 0) + 1
        if tried.verdict.failed and not self._known(tried):
            self._add(tried)
        self._before = rule
        return not self._enough()

    def end(self) -> None:
        """To be called after the last case: what failed now and then is a failure too where it did so often."""
        many = self._outcome.unsteady
        if self._unsteady and many >= max(_OFTEN, self._outcome.cases / 100) and not self._enough():
            self._outcome.failures.append(Failure(self._unsteady, many, sometimes=True))

    def _enough(self) -> bool:
        return len(self._outcome.failures) >= self._outcome.search.max_failures

    def _known(self, tried: Tried) -> bool:
        """Whether a cause that is known explains this failure; it is counted there."""
        there = set(map(_general, steps_of(tried.rule)))
        what = (tried.verdict.outcome, tried.verdict.field)
        for failure in self._outcome.failures:
            if set(failure.cause) <= there or (failure.cause == what and self._fails_plainly(tried)):
                failure.count += 1
                return True
        return False

    def _fails_plainly(self, tried: Tried) -> bool:
        return self._trial.judge(Rule(reply=tried.rule.reply)).verdict.failed

    def _add(self, tried: Tried) -> None:
        found = self._again(tried)
        if found is None:
            self._outcome.unsteady += 1
            self._unsteady = self._unsteady or tried
            return
        self._outcome.failures.append(found)  # as it is, should the run be interrupted
        if not found.before and tried.verdict.outcome != "hung":  # each try costs the deadline
            self._make_smaller(found)
        same = next(each for each in self._outcome.failures if each.cause == found.cause)
        if same is not found:
            self._outcome.failures.pop()
            same.count += 1

    def _again(self, tried: Tried) -> Failure | None:
        """The failure when it is tried again: alone, without its fault, or right after the case before it."""
        again = self._trial.judge(tried.rule)
        if again.verdict.failed:
            sound = tried.rule.fault and self._trial.judge(msgspec.structs.replace(tried.rule, fault=None))
            return Failure(sound if sound and sound.verdict.failed else tried)
        if self._before is not None:
            self._trial.judge(self._before)
            again = self._trial.judge(tried.rule)
        return Failure(again, before=self._before) if again.verdict.failed else None

    def _make_smaller(self, found: Failure) -> None:
        first = found.tried.verdict

        def fails(rule: Rule) -> bool:
            again = self._trial.judge(rule)
            alike = _alike(again.verdict, first)
            if alike:
                found.tried = again
            return alike

        shrink(found.tried.rule, fails)


def _alike(one: Verdict, other: Verdict) -> bool:
    """Whether two failures are likely to be the same: both errors, whichever, or both wrong in the same field."""
    return one.outcome == other.outcome and (one.outcome == "error" or one.field == other.field)
