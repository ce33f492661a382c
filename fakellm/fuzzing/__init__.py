"""Finds the stream that breaks a client: draw a case, serve it, ask the client, compare, shrink, report.

`fakellm.fuzz` is all that a test needs; `fakellm fuzz` does the same for clients in any language.
"""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from fakellm.fuzzing.clients.client_function import ClientFunction, FunctionClient
from fakellm.fuzzing.clients.client_under_test import CannotRunError
from fakellm.fuzzing.clients.result import Result, ReturnedBlock, ReturnedCall, ReturnedChoice, ReturnedUsage
from fakellm.fuzzing.draws.profiles import DEFAULT
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.report import report, run_report
from fakellm.fuzzing.reports.run_report import ReportedFailure
from fakellm.fuzzing.run import run
from fakellm.fuzzing.saved_failures import FOLDER, Failures
from fakellm.fuzzing.search import Outcome, Search

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

__all__ = [
    "CannotRunError",
    "FuzzError",
    "Outcome",
    "Result",
    "ReturnedBlock",
    "ReturnedCall",
    "ReturnedChoice",
    "ReturnedUsage",
    "fuzz",
]


class FuzzError(AssertionError):
    """A client failed. The message is the report; `outcome` holds what the report describes."""

    def __init__(self, text: str, outcome: Outcome) -> None:
        super().__init__(text)
        self.outcome = outcome


def fuzz(
    client: ClientFunction,
    *,
    profile: str = DEFAULT,
    examples: int = 200,
    seed: int = 0,
    exclude: tuple[str, ...] = (),
    max_failures: int = 1,
    timeout: float = 5.0,
    failures: str | Path | ExampleDatabase | None = FOLDER,
    api: str = "chat",
) -> Outcome:
    """Raises FuzzError with a report if `client` misreads a stream; otherwise returns what was tried.

    client: ``client(base_url, request)``, async or not, sends the request (a mapping, the body of a request to `api`)
        and either raises or returns what it read: a Result, or a mapping with its names (`content`, `tool_calls`,
        `finish_reason`, `usage` and, if the client reports them, `reasoning`, `refusal`, `blocks`, `choices`). Names
        that it leaves out are not compared. It is always called in the same thread, which is its own.
    api: the API of the requests, by its name in `when: {api: …}`. `base_url` is what its SDK takes.
    profile, exclude: as in `fakellm.strategies.streams`: what is drawn, and steps to leave out.
    examples: the number of cases, not counting those that repeat or shrink a failure.
    max_failures: how many different causes to find before the run ends.
    timeout: seconds that the client may take for one case; after that it has hung.
    failures: where failures are saved as scenarios, which are tried first: a folder, Redis as `redis://HOST`, or a
        database of hypothesis; None to save none.

    The same seed tries the same cases. Raises CannotRunError if the client cannot even read a plain stream, ValueError
    if a setting is invalid or a profile or step is unknown, and DatabaseError if saved failures cannot be read.
    """
    __tracebackhide__ = True  # for pytest: the report needs no traceback
    _check(profile, examples, max_failures, timeout, seed, exclude)
    search = Search(
        profile=profile,
        examples=examples,
        seed=seed,
        exclude=tuple(exclude),
        max_failures=max_failures,
        deadline=timeout,
        api=fuzzed_api(api),
    )
    place = Failures(failures) if failures is not None else None
    known, unreadable = place.rules(search) if place else ((), 0)
    outcome = run(FunctionClient(client, 2 * timeout + 1), search, known)
    outcome.unreadable = unreadable
    if outcome.failures:
        found = run_report(outcome)
        raise FuzzError(report(found, [_replay(each, place, api, seed) for each in found.failures]), outcome)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


def _check(profile: str, examples: int, max_failures: int, timeout: float, seed: int, exclude: object) -> None:
    """Raises ValueError if a setting is invalid."""
    if not isinstance(profile, str):
        raise ValueError(f"profile must be the name of one, got {profile!r}")
    for name, value in (("examples", examples), ("max_failures", max_failures)):
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise ValueError(f"{name} must be an integer above 0, got {value!r}")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"seed must be an integer, got {seed!r}")
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not isfinite(timeout) or timeout <= 0:
        raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r}")
    if isinstance(exclude, str):
        raise ValueError(f"exclude must be a tuple of steps, got {exclude!r}; write ({exclude!r},)")
    if not isinstance(exclude, Collection) or not all(isinstance(step, str) for step in exclude):
        raise ValueError(f"exclude must be a tuple of steps, got {exclude!r}")


def _replay(found: ReportedFailure, place: Failures | None, api: str, seed: int) -> str:
    """How to reproduce a failure, which is saved."""
    repeat = f"repeat the call with seed={seed}"
    if place is None:
        return repeat
    try:
        return f"the next call tries it first, from {place.save(api, found.scenario, found.title) or place.name}"
    except OSError as error:
        return f"{repeat}; the failure could not be saved: {error}"
