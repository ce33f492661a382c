"""Runs a test that passed again while its replies are sent in other ways, and reports what that shows about its client.

Owns how pytest runs a test once more. Knows nothing of what replies are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

import pytest
from _pytest.runner import runtestprotocol  # pytest has nothing public: plugins that run tests again use this

from fakellm.base.words.count import count
from fakellm.testing.reruns import break_replies, vary
from fakellm.testing.reruns.alarm import ALARM, Alarm
from fakellm.testing.reruns.break_replies import BrokenRun
from fakellm.testing.reruns.vary import Varied

if TYPE_CHECKING:
    Reports = Sequence[pytest.TestReport]
    Changed = Varied | BrokenRun

CHANGED: pytest.StashKey[Changed] = pytest.StashKey()
"""How the replies of the test that runs now are changed; the fixture reads it."""

NOTE = "fakellm"
"""The property of a test's last report that has whether its replies were changed."""

CHANGED_REPLIES = "changed"
UNCHANGED = "no reply of its server could be changed"
RANDOM = "it failed with its replies unchanged when it ran again"

_LISTED = 10
"""How many tests whose replies were not changed are listed."""

_TITLE = "fakellm: how its client was answered"


def protocol(item: pytest.Item, nextitem: pytest.Item | None, varied: int, broken: int, patience: float) -> None:
    """Runs a test as usual and, if it passes, again with its replies varied and with one of them broken, so many times
    each: all of it as one test. With a broken reply, it must end within `patience` seconds."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = _run(item)
    if all(each.passed and not hasattr(each, "wasxfail") for each in reports):
        found, note = _varied(item, varied)
        if not found and broken:
            found, other = _broken(item, broken, patience)
            note = CHANGED_REPLIES if other == CHANGED_REPLIES else note
        reports = found or reports
        reports[-1].user_properties.append((NOTE, note))
    for each in (*reports, *_ended(item, nextitem)):
        item.ihook.pytest_runtest_logreport(report=each)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _run(item: pytest.Item, changed: Changed | None = None) -> Reports:
    """The reports of one run of the test. What it shares with other tests stays set up."""
    if changed:
        item.stash[CHANGED] = changed
    item._initrequest()  # type: ignore[attr-defined] # of functions, as all tests with fixtures are
    try:
        return runtestprotocol(item, log=False, nextitem=cast(pytest.Item, _Again(item)))
    finally:
        if changed:
            del item.stash[CHANGED]


class _Again:
    """What pytest takes for the next test: one with the same parents, so that only this one is torn down."""

    def __init__(self, item: pytest.Item) -> None:
        self._parents = item.listchain()[:-1]

    def listchain(self) -> list[object]:
        return [*self._parents, self]


def _ended(item: pytest.Item, nextitem: pytest.Item | None) -> Reports:
    """The report of an error while what the test shares with earlier tests, but not with the next, is torn down."""
    call = pytest.CallInfo.from_call(lambda: item.session._setupstate.teardown_exact(nextitem), "teardown")
    return [item.ihook.pytest_runtest_makereport(item=item, call=call)] if call.excinfo else []


def _failed(reports: Reports) -> bool:
    return any(each.failed for each in reports)


def _varied(item: pytest.Item, count: int) -> tuple[Reports | None, str]:
    """The reports of a failure while replies are varied, and the note on the test. No reports if there is none, and if
    the test fails at random."""
    note = UNCHANGED
    for run in vary.runs(count):
        failed = _failed(_run(item, run))
        note = CHANGED_REPLIES if run.sent else note
        if failed:
            reports = _shrunk(item, run, count)
            return (reports, CHANGED_REPLIES) if reports else (None, RANDOM)
    return None, note


def _shrunk(item: pytest.Item, failing: Varied, count: int) -> Reports | None:
    """The reports under the fewest families of steps that fail the test. None if it then passes with them, or fails
    without them too: it fails at random."""
    families = failing.families
    for family in families[1:] + families[:1]:
        fewer = tuple(each for each in families if each != family)
        if fewer and _failed(_run(item, Varied(failing.run, fewer))):
            families = fewer
    smallest = Varied(failing.run, families)
    reports = _run(item, smallest)
    if not smallest.sent or not _failed(reports) or _failed(_run(item)):
        return None
    for each in reports:
        if each.failed:
            each.sections.insert(0, (_TITLE, vary.report(smallest, item.nodeid, count)))
    return reports


def _broken(item: pytest.Item, count: int, patience: float) -> tuple[Reports | None, str]:
    """The reports of a run with a broken reply after which the test passed or did not end, and the note on the test. No
    reports if each run failed in time, or got a whole reply afterwards."""
    note = UNCHANGED
    for run in break_replies.runs(count):
        item.stash[ALARM] = alarm = Alarm(patience)
        reports = _run(item, run)
        del item.stash[ALARM]
        note = CHANGED_REPLIES if run.sent else note
        finding = break_replies.finding(run, not _failed(reports), alarm.rung, patience)
        if finding:
            failed = next(each for each in reports if each.failed or each.when == "call")
            failed.outcome, failed.longrepr = "failed", failed.longrepr or finding
            failed.sections.insert(0, (_TITLE, break_replies.report(run, finding, item.nodeid, count)))
            return reports, note
    return None, note


def summary(reports: Iterable[object]) -> Iterator[str]:
    """How many tests ran again with changed replies, and the first of those that did not, with the reason."""
    notes = {
        report.nodeid: str(value)
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, value in report.user_properties
        if name == NOTE
    }
    others = {test: note for test, note in notes.items() if note != CHANGED_REPLIES}
    again = len(notes) - len(others)
    yield f"fakellm: {again} of {count(len(notes), 'test')} that passed ran again with changed replies"
    yield from (f"  not {test}: {note}" for test, note in list(others.items())[:_LISTED])
    if len(others) > _LISTED:
        yield f"  and {len(others) - _LISTED} more"
