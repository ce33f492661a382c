"""The table that all benchmarks print: one line for each subject of a benchmark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HEADER = ("Benchmark", "Subject", "Result", "p50 ms", "p99 ms", "Ratio", "Target", "CPU s per M frames", "Peak MB")


@dataclass(frozen=True)
class Line:
    """One line. `ratio` is what README.md in this folder describes for the benchmark; `target` is the limit, with `>=`
    or `<=`, of `checked`, or of the ratio if that is None."""

    benchmark: str
    subject: str
    result: str
    p50: float | None = None
    p99: float | None = None
    ratio: float | None = None
    target: tuple[str, float] | None = None
    checked: float | None = None
    cpu: float | None = None
    peak: float | None = None

    def cells(self) -> tuple[str, ...]:
        numbers = (_number(each) for each in (self.p50, self.p99, self.ratio))
        return (self.benchmark, self.subject, self.result, *numbers, self._verdict(), _number(self.cpu), self._peak())

    def _verdict(self) -> str:
        value = self.ratio if self.checked is None else self.checked
        if self.target is None or value is None:
            return ""
        sign, limit = self.target
        reached = value >= limit if sign == ">=" else value <= limit
        return f"{sign} {limit:g} {'yes' if reached else '**no**'}"

    def _peak(self) -> str:
        return "" if self.peak is None else f"{self.peak / 2**20:.0f}"


def missing(benchmark: str, subject: str) -> Line:
    return Line(benchmark, subject, "not installed")


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def head() -> str:
    return f"{row(HEADER)}\n{row('---' for _ in HEADER)}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
