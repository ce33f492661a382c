"""What a run found, as plain values: for every format, for a file, and to merge the reports of several shards.

Owns the merge. `report` makes such a value from an outcome, and the text from such a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Literal

import msgspec
from msgspec import Struct

from fakellm.base.errors import FakellmError
from fakellm.base.words.count import count
from fakellm.fuzzing.search import is_intermittent


class ReportError(FakellmError):
    """A file is not a report, or reports cannot be merged."""


class ReportedFailure(Struct, kw_only=True, omit_defaults=True):
    """One failure. title: its steps and where; text: all about it but how to reproduce it; summary: in a few lines.

    number: the place of its case in the run. cause: as in ClientFailure. tier, steps: the highest tier of its steps,
    and their names. outcome: as in Verdict. scenario: the failing rule as YAML.
    """

    number: int
    count: int
    cause: tuple[str, ...]
    tier: str
    steps: tuple[str, ...]
    title: str
    outcome: str
    summary: str
    text: str
    scenario: str
    intermittent: bool = False


class RunSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of a run that are the same for all of its shards."""

    api: str
    profile: str
    seed: int
    examples: int | None
    exclude: tuple[str, ...] = ()
    max_failures: int = 1


class RunReport(Struct, kw_only=True, omit_defaults=True):
    """What a run found. command: what starts the client. The fields that an Outcome has too mean the same;
    internal_first: as texts."""

    settings: RunSettings
    command: tuple[str, ...] = ()
    shard: tuple[int, int] = (1, 1)
    cases: int = 0
    compared: tuple[str, ...] = ()
    tried: dict[str, dict[str, int]] = {}
    failures: list[ReportedFailure] = []
    cuts: dict[str, int] = {}
    internal: dict[str, int] = {}
    internal_first: dict[str, str] = {}
    unsteady: int = 0
    unsteady_first: ReportedFailure | None = None
    skipped: int = 0
    unreadable: int = 0
    ended: Literal["", "interrupted", "out of time"] = ""
    problem: str = ""

    @property
    def exit_code(self) -> int:
        """Of a command that made this report."""
        if self.ended == "interrupted":
            return 130
        return 1 if self.failures else 2 if self.problem else 0


def read_report(data: bytes, name: str) -> RunReport:
    """The report in a file of this name. Raises ReportError."""
    try:
        return msgspec.json.decode(data, type=RunReport)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ReportError(f"{name} is not a report of `fakellm fuzz --report`: {error}") from None


def merged(reports: Sequence[RunReport]) -> RunReport:
    """The report of a run whose shards these are, in any order: its failures in the order of their cases, with one for
    each cause. Raises ReportError if they are not shards of one run, or if there are two of the same."""
    _check(reports)
    reports = sorted(reports, key=lambda each: each.shard)
    cases, unsteady = (sum(getattr(each, name) for each in reports) for name in ("cases", "unsteady"))
    firsts = [each.unsteady_first for each in reports if each.unsteady_first]
    ends = {each.ended for each in reports}
    tiers = dict.fromkeys(chain.from_iterable(each.tried for each in reports))
    report = RunReport(
        settings=reports[0].settings,
        command=reports[0].command,
        cases=cases,
        compared=reports[0].compared,
        tried={tier: _sum(each.tried.get(tier, {}) for each in reports) for tier in tiers},
        failures=_by_cause(chain.from_iterable(each.failures for each in reports)),
        cuts=_sum(each.cuts for each in reports),
        internal=_sum(each.internal for each in reports),
        internal_first={name: text for each in reversed(reports) for name, text in each.internal_first.items()},
        unsteady=unsteady,
        unsteady_first=min(firsts, key=lambda each: each.number, default=None),
        skipped=sum(each.skipped for each in reports),
        unreadable=sum(each.unreadable for each in reports),
        ended="interrupted" if "interrupted" in ends else "out of time" if "out of time" in ends else "",
        problem="; ".join(filter(None, [*_missing(reports), *(each.problem for each in reports)])),
    )
    enough = len(report.failures) >= report.settings.max_failures
    if report.unsteady_first and is_intermittent(unsteady, cases) and not enough:
        report.failures.append(msgspec.structs.replace(report.unsteady_first, count=unsteady))
    return report


def _check(reports: Sequence[RunReport]) -> None:
    first = reports[0]
    for report in reports[1:]:
        if report.shard[1] != first.shard[1]:
            raise ReportError(
                f"expected {count(first.shard[1], 'shard')} as in the first report, got one of {report.shard[1]}"
            )
        for field in RunSettings.__struct_fields__:
            one, other = getattr(first.settings, field), getattr(report.settings, field)
            if one != other:
                raise ReportError(f"these are not shards of one run: {field} is {one!r} in the first, and {other!r}")
    for shard, times in Counter(report.shard for report in reports).items():
        if times > 1:
            raise ReportError(f"there are {count(times, 'report')} of shard {shard[0]}/{shard[1]}")


def _missing(reports: Sequence[RunReport]) -> list[str]:
    shards = reports[0].shard[1]
    there = {report.shard[0] for report in reports}
    return [f"shard {number}/{shards} is missing" for number in range(1, shards + 1) if number not in there]


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _by_cause(failures: Iterable[ReportedFailure]) -> list[ReportedFailure]:
    """The failures in the order of their cases. A failure that an earlier cause explains is counted there."""
    kept: list[ReportedFailure] = []
    for failure in sorted((each for each in failures if not each.intermittent), key=lambda each: each.number):
        known = next((each for each in kept if set(each.cause) <= set(failure.cause)), None)
        if known:
            known.count += failure.count
        else:
            kept.append(msgspec.structs.replace(failure))
    return kept
