"""A whole run: what failed before, each step alone, then what the seed draws. Owns the order, and the causes.

Every failure is made as small as it gets and counted under its cause: the steps it needs and what came out wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import msgspec
from msgspec import Struct

from fakellm import draws
from fakellm.draws.profiles import profile as profile_of
from fakellm.fuzzing import cases
from fakellm.fuzzing.drive import Asked
from fakellm.fuzzing.oracle import Verdict
from fakellm.fuzzing.session import Session
from fakellm.fuzzing.shrink import shrink
from fakellm.fuzzing.trial import Trial, Tried, steps_of
from fakellm.scenario import Rule, Scenario
from fakellm.seed import Source


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
    when they were tried again, as on a machine that is too busy.
    """

    search: Search
    cases: int = 0
    failures: list[Failure] = []
    leaked: dict[str, int] = {}
    unsteady: int = 0


class _Enough(Exception):  # noqa: N818 # it is none: the search has found what it was sent for
    """As many failures have been found as were asked for."""


def run(
    client: Asked, search: Search, saved: Iterable[Rule] = (), tell: Callable[[int], None] = lambda cases: None
) -> Outcome:
    """Tries the client on `saved` rules, and then on its own; `tell` is told how many cases are done.

    Raises CannotRunError where it cannot be tried, ValueError where the profile or a step to leave out is unknown.
    """
    what = profile_of(search.profile, search.exclude)
    outcome = Outcome(search)
    with Session(search.seed, search.deadline) as session:
        try:
            hunt = _Hunt(Trial(client, session), outcome, tell)
            for rule in saved:
                hunt.case(rule)
            known = list(islice(cases.first(what), search.examples))
            for rule in known:
                hunt.case(rule)
            for number in range(search.examples - len(known)):
                drawn = draws.scenario(Source(search.seed, "case", number), search.profile, search.exclude)
                hunt.case(rule_of(drawn))
        except _Enough:
            pass
        finally:
            client.close()
    return outcome


def replay(client: Asked, search: Search, rules: Iterable[Rule]) -> Outcome:
    """Tries the client on these rules alone, and makes none of them smaller. Raises CannotRunError as `run` does."""
    outcome = Outcome(search)
    with Session(search.seed, search.deadline) as session:
        try:
            trial = Trial(client, session)
            tried = [trial.judge(rule) for rule in rules]
        finally:
            client.close()
    outcome.cases = len(tried)
    outcome.failures = [Failure(each) for each in tried if each.verdict.failed]
    return outcome


def rule_of(scenario: Scenario) -> Rule:
    """The one rule of a scenario, in its dialect."""
    rule = scenario.rules[0]
    return rule if rule.dialect else msgspec.structs.replace(rule, dialect=scenario.dialect)


class _Hunt:
    """The failures so far, and what is done with one more."""

    def __init__(self, trial: Trial, outcome: Outcome, tell: Callable[[int], None]) -> None:
        self._trial = trial
        self._outcome = outcome
        self._tell = tell

    def case(self, rule: Rule) -> None:
        """Tries a rule. Raises _Enough once as many causes of failure are known as were asked for."""
        tried = self._trial.judge(rule)
        self._outcome.cases += 1
        self._tell(self._outcome.cases)
        if tried.verdict.leaked:
            self._outcome.leaked[tried.verdict.leaked] = self._outcome.leaked.get(tried.verdict.leaked, 0) + 1
        if tried.verdict.failed and not self._known(tried):
            self._add(tried)
            if self._enough():
                raise _Enough

    def _enough(self) -> bool:
        return len(self._outcome.failures) >= self._outcome.search.max_failures

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
        smallest = tried if tried.verdict.outcome == "hung" else self._smallest(tried)  # each try costs the deadline
        found = Failure(smallest)
        for failure in self._outcome.failures:
            if failure.cause == found.cause:
                failure.count += 1
                return
        self._outcome.failures.append(found)

    def _smallest(self, tried: Tried) -> Tried:
        best = tried

        def fails(rule: Rule) -> bool:
            nonlocal best
            again = self._trial.judge(rule)
            if _alike(again.verdict, tried.verdict):
                best = again
                return True
            return False

        shrink(tried.rule, fails)
        return best


def _alike(one: Verdict, other: Verdict) -> bool:
    """Whether two failures are likely to be the same: both errors, whichever, or both wrong in the same field."""
    return one.outcome == other.outcome and (one.outcome == "error" or one.field == other.field)
