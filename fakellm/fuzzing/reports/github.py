"""Writes a report as GitHub's workflow commands, which show each failure beside the job's log.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fakellm.fuzzing.reports.run_report import RunReport

_SPECIAL = "%\r\n"


def as_annotations(run: RunReport, replays: Sequence[str]) -> Iterator[str]:
    """A line for each failure, and for cases that are missing."""
    for found, replay in zip(run.failures, replays, strict=True):
        yield _error(f"fakellm fuzz: {found.title}", f"{found.summary}\nTo reproduce: {replay}")
    if run.problem:
        yield _error("fakellm fuzz: cases are missing", run.problem)


def _error(title: str, message: str) -> str:
    return f"::error title={_escaped(title, _SPECIAL + ':,')}::{_escaped(message, _SPECIAL)}"


def _escaped(text: str, characters: str) -> str:
    """The text with these characters as `%` and their code, as the runner reads them back."""
    return "".join(f"%{ord(each):02X}" if each in characters else each for each in text)
