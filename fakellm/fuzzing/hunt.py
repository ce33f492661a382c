"""Failures, each made as small as it gets and counted under its cause. Owns the causes, not where cases come from.

A cause is the steps that a failure needs, and what came out wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from fakellm.fuzzing.oracle import Verdict
from fakellm.fuzzing.shrink import shrink
from fakellm.fuzzing.trial import Trial, Tried, steps_of
from fakellm.scenario import Rule


class Search(Struct, frozen=True, kw_only=True):
    """What a run tries. deadline: seconds after which a client has hung. max_failures: of different causes."""

    profile: str = "default"
    examples: int = 200
    seed: int = 0
    exclude: tuple[str, ...] = ()
    max_failures: int = 1
    deadline: float = 10.0


class Failure(Struct):
    """A failing rule as small as it gets, and how many cases failed for the same cause."""

    tried: Tried
    count: int = 1

    @property
    def cause(self) -> tuple[str, ...]:
        """The steps it takes, and what came out wrong."""
        verdict = self.tried.verdict
        return (*(step.name for step in steps_of(self.tried.rule)), verdict.outcome, verdict.field)


class Outcome(Struct):
    """What a run found.

    leaked: errors that were right to raise, but none of the client's own. unsteady: how many cases failed once and held
    when they were tried again, as on a machine that is too busy. interrupted: whether it was ended from outside, as by
    Ctrl+C.
    """

    search: Search
    cases: int = 0
    failures: list[Failure] = []
    leaked: dict[str, int] = {}
    unsteady: int = 0
    interrupted: bool = False


class Hunt:
    """The failures so far, and what is done with one more."""

    def __init__(self, trial: Trial, outcome: Outcome, tell: Callable[[int], None]) -> None:
        self._trial = trial
        self._outcome = outcome
        self._tell = tell

    def case(self, rule: Rule) -> bool:
        """Tries a rule; whether to go on: not once as many causes of failure are known as were asked for."""
        tried = self._trial.judge(rule)
        self._outcome.cases += 1
        self._tell(self._outcome.cases)
        if tried.verdict.leaked:
            self._outcome.leaked[tried.verdict.leaked] = self._outcome.leaked.get(tried.verdict.leaked, 0) + 1
        if tried.verdict.failed and not self._known(tried):
            self._add(tried)
        return len(self._outcome.failures) < self._outcome.search.max_failures

    def _known(self, tried: Tried) -> bool:
        """Whether a cause that is known explains this failure; it is counted there."""
        there = {step.name for step in steps_of(tried.rule)}
        for failure in self._outcome.failures:
            *needed, outcome, field = failure.cause
            same = (outcome, field) == (tried.verdict.outcome, tried.verdict.field)
            if same and set(needed) <= there and (needed or self._fails_plainly(tried)):
                failure.count += 1
                return True
        return False

    def _fails_plainly(self, tried: Tried) -> bool:
        return self._trial.judge(Rule(reply=tried.rule.reply)).verdict.failed

    def _add(self, tried: Tried) -> None:
        if not self._trial.judge(tried.rule).verdict.failed:
            self._outcome.unsteady += 1
            return
        found = Failure(tried)
        self._outcome.failures.append(found)  # as it is, should the run be interrupted
        if tried.verdict.outcome != "hung":  # each try costs the deadline
            self._make_smaller(found)
        same = next(each for each in self._outcome.failures if each.cause == found.cause)
        if same is not found:
            self._outcome.failures.pop()
            same.count += 1

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
