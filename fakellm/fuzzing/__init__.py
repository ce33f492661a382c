"""Finding the stream that breaks a client: draw, serve, ask the client, compare, make it small, tell.

`fakellm.fuzz` is all that a test needs; `fakellm fuzz` does the same for a client in any language.
"""

from __future__ import annotations

from pathlib import Path

from fakellm.fuzzing.clients.client_function import Client, Function
from fakellm.fuzzing.clients.client_process import CannotRunError
from fakellm.fuzzing.clients.result import Answer, Call, Result, Usage
from fakellm.fuzzing.report import report, title
from fakellm.fuzzing.run import run
from fakellm.fuzzing.saved_failures import FOLDER, save, saved
from fakellm.fuzzing.search import Failure, Outcome, Search

__all__ = ["Answer", "Call", "CannotRunError", "FuzzError", "Outcome", "Result", "Usage", "fuzz"]


class FuzzError(AssertionError):
    """That a client failed; its text is the report, `outcome` what the report is made of."""

    def __init__(self, text: str, outcome: Outcome) -> None:
        super().__init__(text)
        self.outcome = outcome


def fuzz(
    client: Client,
    *,
    profile: str = "default",
    examples: int = 200,
    seed: int = 0,
    exclude: tuple[str, ...] = (),
    max_failures: int = 1,
    timeout: float = 5.0,
    failures: str | Path | None = FOLDER,
) -> Outcome:
    """Raises FuzzError with a report where `client` reads a stream wrong; else returns what was tried.

    client: ``client(base_url, request)``, async or not, sends the request (a mapping, the body of a chat completion)
        and returns what it read: a Result or a mapping with its names (`content`, `tool_calls`, `finish_reason`,
        `usage` and, where the client knows them, `reasoning`, `refusal`, `choices`), or raises. What it leaves out is
        not compared. It is called in a thread of its own, always the same.
    profile, exclude: as in `fakellm.strategies.streams`: what is drawn, and steps to leave out.
    examples: how many cases, those that repeat a failure or make it small not counted.
    max_failures: how many different causes to find before it ends.
    timeout: seconds that the client may take for one case before it has hung.
    failures: the folder where failures are kept as scenario files, and read from first; None for none.

    The same seed tries the same cases. Raises CannotRunError where the client does not even read a plain stream, and
    ValueError where there is no such profile or step.
    """
    __tracebackhide__ = True  # for pytest: the report says it all
    _check(examples, max_failures, timeout, exclude)
    exclude = tuple(exclude)
    search = Search(
        profile=profile, examples=examples, seed=seed, exclude=exclude, max_failures=max_failures, deadline=timeout
    )
    folder = Path(failures) if failures is not None else None
    outcome = run(Function(client, 2 * timeout + 1), search, list(saved(folder)) if folder else ())
    if outcome.failures:
        raise FuzzError(report(outcome, [_again(failure, folder, seed) for failure in outcome.failures]), outcome)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


def _check(examples: int, max_failures: int, timeout: float, exclude: object) -> None:
    """Raises ValueError where a setting makes no sense."""
    for name, value in (("examples", examples), ("max_failures", max_failures)):
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"{name} is a whole number above 0, not {value!r}")
    if not isinstance(timeout, (int, float)) or timeout <= 0:
        raise ValueError(f"timeout is a number of seconds above 0, not {timeout!r}")
    if isinstance(exclude, str):
        raise ValueError(f"exclude is a tuple of steps: ({exclude!r},)")


def _again(failure: Failure, folder: Path | None, seed: int) -> str:
    """How to see a failure again."""
    if folder is None:
        return f"the same call, with seed={seed}"
    return f"the next call tries it first, from {save(folder, failure, title(failure))}"
