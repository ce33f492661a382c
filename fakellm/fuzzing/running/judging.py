"""Judges the cases of a run one after the other, in this process or another. Owns what a search needs of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from fakellm.fuzzing.trial import JudgedCase, Trial
from fakellm.scenarios.scenario import Rule

SAVED = -1
"""The number of a saved failure, which is tried before the cases of a run."""


class Judged(Struct, frozen=True):
    """A case of a run that was judged.

    number: its place in the run, or SAVED. steps: the tier and the name of each of its steps. internal: as in Verdict.
    failed: the case, if the client failed. before: the rule that the client was sent before, in that case.
    """

    number: int
    steps: tuple[tuple[str, str], ...] = ()
    internal: str = ""
    failed: JudgedCase | None = None
    before: Rule | None = None


def judged(trial: Trial, cases: Iterable[tuple[int, Rule]]) -> Iterator[Judged]:
    """Each case, with its number, once it is judged."""
    before = None
    for number, rule in cases:
        case = trial.judge(rule)
        steps = tuple((step.tier, step.name) for step in case.steps)
        failed = case if case.verdict.failed else None
        yield Judged(number, steps, case.verdict.internal, failed, before if failed else None)
        before = rule
