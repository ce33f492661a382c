"""Tries every single step on every client. Owns the rows of the table; `matrix_formats` prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from msgspec import Struct

from fakellm.apis.route import CHAT
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_under_test import ClientUnderTest
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.tiers import WireStep
from fakellm.fuzzing.trial import JudgedCase, Trial
from fakellm.scenarios.scenario import Rule


class Row(Struct):
    """A step, or the usual wire of a dialect, with a case for each client: the first that failed, or else the last
    that passed."""

    steps: tuple[WireStep, ...]
    dialect: str
    cells: dict[str, JudgedCase]

    @property
    def name(self) -> str:
        return " + ".join(step.name for step in self.steps) or f"dialect: {self.dialect}"

    @property
    def tier(self) -> str:
        return max((step.tier for step in self.steps), default="")

    @property
    def rows(self) -> str:
        """The rows of the bug list, separated by spaces."""
        return " ".join(dict.fromkeys(row for step in self.steps for row in step.rows))

    @property
    def fails(self) -> bool:
        return any(case.verdict.failed for case in self.cells.values())

    @property
    def holds(self) -> bool:
        """Whether no client fails, and each saw where the body was cut, if it was."""
        return not self.fails and all(case.cuts in ("", "visible") for case in self.cells.values())


def matrix(
    clients: Mapping[str, ClientUnderTest], search: Search, progress: Callable[[int], None] = lambda cases: None
) -> tuple[list[Row], bool]:
    """The steps of the search's profile, each alone, on each of the named clients; and whether all were tried, rather
    than the run interrupted, as by Ctrl+C.

    progress: called after each case with the number of cases so far. Raises CannotRunError if a client cannot be tried.
    """
    rows: dict[str, Row] = {}
    try:
        _fill(rows, clients, search, progress)
    except KeyboardInterrupt:
        return list(rows.values()), False
    return list(rows.values()), True


def _fill(
    rows: dict[str, Row], clients: Mapping[str, ClientUnderTest], search: Search, progress: Callable[[int], None]
) -> None:
    count = 0
    for name, client in clients.items():
        with CaseServer(search.seed, search.deadline, search.api) as server:
            try:
                trial = Trial(client, server, search.api, search.each_read)
                for rule in alone(search):
                    row = Row(
                        tuple(steps_of(rule, search.api)),
                        rule.dialect or ("openai" if search.api is CHAT else "usual"),
                        {},
                    )
                    row = rows.setdefault(row.name, row)
                    case = trial.judge(rule)
                    if name not in row.cells or _has_more(case, row.cells[name]):
                        row.cells[name] = case
                    count += 1
                    progress(count)
            finally:
                client.close()


def _has_more(case: JudgedCase, before: JudgedCase) -> bool:
    """Whether a case shows more than one before it: the first that fails does, or else a cut that was visible."""
    if case.verdict.failed or before.verdict.failed:
        return not before.verdict.failed
    return before.cuts != "visible"


def alone(search: Search) -> Iterator[Rule]:
    """Each step of a profile by itself, in the profile's first dialect, and the usual wires of its other dialects."""
    profile = profile_of(search.profile, search.exclude, search.api)
    singles = chain.from_iterable(cases.singles(family, profile) for family in profile.families)
    return chain(singles, cases.broken(profile) if profile.faults else (), cases.wires(profile))
