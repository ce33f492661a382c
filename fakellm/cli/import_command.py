"""`fakellm import`: turns recordings into a scenario that people can read and change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from fakellm.base.errors import CassetteError
from fakellm.base.words.count import count
from fakellm.cli.output import check_output, is_stdout, write_output
from fakellm.cli.serving import fail
from fakellm.importing.fixtures.fixture_file import FixtureFile, read_fixtures
from fakellm.importing.importer import Imported, imported
from fakellm.recordings.cassette import Cassette
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import dump

_OUTCOMES = {
    "meaning": "by meaning",
    "patch": "by meaning, with {frames} of {total} frames literal",
    "literal": "literal",
    "left out": "left out",
}


@click.command("import", short_help="Turn recordings into a scenario.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="SCENARIO",
    help="The file, or - for standard output.",
)
@click.option("--name", help="The name of the scenario; by default the name of the file.")
def command(files: tuple[Path, ...], output: Path, name: str | None) -> None:
    """Write a scenario whose rules send the bytes that are recorded in FILEs, and report how.

    A rule has the recorded content and how it was streamed. If these do not give the recorded bytes, the rule has a
    `patch` of literal frames too. Keys, tokens and cookies are overwritten. A FILE may also be fixtures of aimock,
    or a snapshot of Copilot's SDKs.
    """
    check_output(output, files)
    try:
        scenario, report = imported(list(map(_read, files)), name or _name(output))
    except CassetteError as error:
        fail(str(error), 2)
    to_error = is_stdout(output)
    for each in report:
        click.echo(_line(each), err=to_error)
    if not scenario.rules:
        fail("nothing can be imported" + ("" if to_error else f": {output} is not written"), 2)
    write_output(output, dump(scenario).encode())
    outcomes = Counter(each.outcome for each in report)
    counts = ", ".join(f"{times} {_OUTCOMES[outcome].partition(',')[0]}" for outcome, times in outcomes.items())
    total = f"{count(len(scenario.rules), 'rule')} of {count(len(report), 'interaction')}"
    click.echo(f"{scenario.name if to_error else output}: {total}: {counts}", err=to_error)


def _read(file: Path) -> Cassette | FixtureFile:
    return read_fixtures(file) or read_file(file)


def _name(output: Path) -> str:
    return "imported" if is_stdout(output) else output.stem


def _line(each: Imported) -> str:
    outcome = _OUTCOMES[each.outcome].format(frames=each.frames, total=each.total)
    return f"{each.name}: {outcome}" + (f" ({each.reason})" if each.reason else "")
