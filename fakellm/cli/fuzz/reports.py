"""Reports what `fakellm fuzz` found: saves the failures, prints the report, writes the files, ends the command."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from fakellm.cli.output import write_output
from fakellm.fuzzing.report import report
from fakellm.fuzzing.reports.github import as_annotations
from fakellm.fuzzing.reports.junit import as_junit
from fakellm.fuzzing.reports.run_report import ReportedFailure, ReportError, RunReport, merged, read_report
from fakellm.fuzzing.saved_failures import Failures


def merge(files: Sequence[Path]) -> RunReport:
    """The report of the run whose shards these files are. Raises ReportError."""
    return merged([_read(file) for file in files])


def _read(file: Path) -> RunReport:
    try:
        return read_report(file.read_bytes(), str(file))
    except OSError as error:
        raise ReportError(f"{file}: {(error.strerror or str(error)).lower()}") from None


def finish(run: RunReport, replays: Sequence[str], json: Path | None, junit: Path | None) -> NoReturn:
    """Prints the report and writes the files, where they are set; ends the command.

    replays: how to reproduce each failure.
    """
    click.echo(report(run, replays), nl=False)
    if json:
        write_output(json, msgspec.json.format(msgspec.json.encode(run)) + b"\n")
    if junit:
        write_output(junit, as_junit(run))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in as_annotations(run, replays):
            click.echo(line, err=True)
    sys.exit(run.exit_code)


def saved_replays(run: RunReport, place: Failures) -> list[str]:
    """Saves the failures; how to reproduce each."""
    return [_saved(run, found, place) for found in run.failures]


def _saved(run: RunReport, found: ReportedFailure, place: Failures) -> str:
    try:
        file = place.save(run.settings.api, found.scenario, found.title)
    except OSError as error:
        return f"run the same command again; the failure could not be saved: {error}"
    if file is None:
        return f"run the same command again, which tries first what is saved in {place.name}"
    return replay_command(run, file)


def replay_command(run: RunReport, file: Path) -> str:
    """The command that tries the rules of a file on the client of the run."""
    api = "" if run.settings.api == "chat" else f"--api {run.settings.api} "
    return f"fakellm fuzz {api}--replay {shlex.quote(str(file))} -- {shlex.join(run.command)}"
