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
from fakellm.fuzzing.running.judging import SAVED, Judged
from fakellm.fuzzing.shrinking.shrink import shrink
from fakellm.fuzzing.tiers import WireStep
from fakellm.fuzzing.trial import JudgedCase, Trial
from fakellm.scenarios.scenario import Rule


class Search(Struct, frozen=True, kw_only=True):
    """The settings of a run.

    examples: the number of cases, of all shards together; None for no end. shard: which of how many parts of these to
    try, such as (2, 8). deadline: seconds after which a client has hung. max_failures: of different causes. api: what
    the requests are for. each_read: whether a client on the same HTTP stack that decodes each read alone fails on cuts.
    """

    profile: str = DEFAULT
    examples: int | None = 200
    seed: int = 0
    exclude: tuple[str, ...] = ()
    max_failures: int = 1
    deadline: float = 10.0
    api: Route = CHAT
    each_read: bool | None = None
    shard: tuple[int, int] = (1, 1)


class ClientFailure(Struct):
    """A failing case, shrunk, and how many cases failed for the same cause.

    before: the rule that must be answered first for this one to fail, since the client carries something over.
    intermittent: the case passed when it was repeated, as did too many others for a busy machine to explain it.
    number: the place of the case in the run.
    """

    case: JudgedCase
    count: int = 1
    before: Rule | None = None
    intermittent: bool = False
    number: int = SAVED

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

    compared: the fields that the client reports. tried: the number of cases with each step, by its tier and its name.
    cuts: how many cuts that it passed were visible to it, not visible or unconfirmed.
    internal: errors that were right to raise but are those of the language, by type; internal_first: the first case of
    each type. unsteady: how many cases failed once and passed when repeated, as on a machine that is too busy;
    unsteady_first: the first of them. skipped: how many saved failures were not tried, since the profile does not
    contain them; unreadable: since they cannot be read, as those of a later version. interrupted: whether the run was
    ended from outside, as by Ctrl+C. out_of_time: whether its time limit ended it, or the shrinking of its last
    failure. problem: why cases are missing; empty if none are.
    """

    search: Search
    compared: frozenset[str] = frozenset()
    cases: int = 0
    tried: dict[str, dict[str, int]] = {}
    failures: list[ClientFailure] = []
    cuts: dict[str, int] = {}
    internal: dict[str, int] = {}
    internal_first: dict[str, JudgedCase] = {}
    unsteady: int = 0
    unsteady_first: ClientFailure | None = None
    skipped: int = 0
    unreadable: int = 0
    interrupted: bool = False
    out_of_time: bool = False
    problem: str = ""

    def count(self, judged: Judged) -> None:
        """Counts a case that was tried."""
        self.cases += 1
        for tier, name in judged.steps or (("plain", "the plain wire"),):
            steps = self.tried.setdefault(tier, {})
            steps[name] = steps.get(name, 0) + 1
        if judged.cuts and judged.failed is None:
            self.cuts[judged.cuts] = self.cuts.get(judged.cuts, 0) + 1
        if judged.internal:
            self.internal[judged.internal] = self.internal.get(judged.internal, 0) + 1
        if judged.internal and judged.case is not None:
            self.internal_first.setdefault(judged.internal, judged.case)


_INTERMITTENT = 3
"""From this number of cases on, and from one in a hundred, passing when repeated is no coincidence."""
_TRIES = 300
_TRIES_WITH_RESTART = 40
"""How many smaller rules to try for a failure. A driver that dies has to be restarted for each."""


def is_intermittent(unsteady: int, cases: int) -> bool:
    """Whether too many of the cases passed when repeated for a busy machine to explain it."""
    return unsteady >= max(_INTERMITTENT, cases / 100)


class FailureSearch:
    """Receives one judged case after the other and keeps the failures in an Outcome.

    trial: where cases are repeated and shrunk; called once there is a failure. progress: called with the outcome after
    each case and, while a failure shrinks, with True after each try. is_over: whether the time of the run is over.
    """

    def __init__(
        self,
        trial: Callable[[], Trial],
        outcome: Outcome,
        progress: Callable[[Outcome, bool], None],
        is_over: Callable[[], bool],
    ) -> None:
        self._trial = trial
        self._outcome = outcome
        self._progress = progress
        self._is_over = is_over

    def add(self, judged: Judged) -> bool:
        """Receives a case. Returns whether to go on: not once enough causes of failure are known or time is over."""
        self._outcome.count(judged)
        self._progress(self._outcome, False)
        case = judged.failed
        if case is not None and not self._is_known(case):
            self._add(case, judged)
        self._outcome.out_of_time = self._is_over()
        return not (self._has_enough() or self._outcome.out_of_time)

    def finish(self) -> None:
        """To be called after the last case: reports an intermittent failure if there were enough of them."""
        first, unsteady = self._outcome.unsteady_first, self._outcome.unsteady
        if first and is_intermittent(unsteady, self._outcome.cases) and not self._has_enough():
            self._outcome.failures.append(msgspec.structs.replace(first, count=unsteady))

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
        return self._trial().judge(Rule(reply=case.rule.reply)).verdict.failed

    def _add(self, case: JudgedCase, judged: Judged) -> None:
        failure = self._repeated(case, judged.before)
        if failure is None:
            self._outcome.unsteady += 1
            first = ClientFailure(case, intermittent=True, number=judged.number)
            self._outcome.unsteady_first = self._outcome.unsteady_first or first
            return
        failure.number = judged.number
        self._outcome.failures.append(failure)  # as it is, in case the run is interrupted
        if not failure.before and case.verdict.outcome != "hung":  # each try would cost the deadline
            self._shrink(failure)
        same = next(each for each in self._outcome.failures if each.cause == failure.cause)
        if same is not failure:
            self._outcome.failures.pop()
            same.count += 1

    def _repeated(self, case: JudgedCase, before: Rule | None) -> ClientFailure | None:
        """The failure when the case is repeated: alone, without its fault, or right after the case before it."""
        trial = self._trial()
        again = trial.judge(case.rule)
        if again.verdict.failed:
            sound = case.rule.fault and trial.judge(msgspec.structs.replace(case.rule, fault=None))
            return ClientFailure(sound if sound and sound.verdict.failed else case)
        if before is not None:
            trial.judge(before)
            again = trial.judge(case.rule)
        return ClientFailure(again, before=before) if again.verdict.failed else None

    def _shrink(self, failure: ClientFailure) -> None:
        first = failure.case.verdict

        def fails(rule: Rule) -> bool:
            if self._is_over():
                return False
            again = self._trial().judge(rule)
            self._progress(self._outcome, True)
            alike = _alike(again.verdict, first)
            if alike:
                failure.case = again
            return alike

        tries = _TRIES_WITH_RESTART if first.outcome == "driver" else _TRIES
        shrink(failure.case.rule, fails, tries, self._outcome.search.api)


def _alike(one: Verdict, other: Verdict) -> bool:
    """Whether two failures are likely to be the same: both errors, of any type, or both wrong in the same field."""
    return one.outcome == other.outcome and (one.outcome == "error" or one.field == other.field)
