"""`fakellm import`: recordings to a scenario that a person can read and change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from fakellm.base.errors import CassetteError
from fakellm.cli.serving import fail
from fakellm.importing.importer import Imported, imported
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import dump

_SAID = {
    "meaning": "by meaning",
    "patch": "by meaning, with {frames} of {total} frames word for word",
    "literal": "word for word",
    "left out": "left out",
}


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="SCENARIO", help="File to write."
)
@click.option("--name", help="The scenario's name; that of the file where none is given.")
def command(files: tuple[Path, ...], output: Path, name: str | None) -> None:
    """Write a scenario whose rules answer as the recordings in FILEs do, byte for byte, and say how.

    A rule says what was said and how; where that alone does not make the recorded bytes it has a `patch` of frames word
    for word. Keys, tokens and cookies are written over.
    """
    try:
        scenario, report = imported([read_file(file) for file in files], name or output.stem)
        output.write_text(dump(scenario), encoding="utf-8")
    except CassetteError as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{output}: {(error.strerror or str(error)).lower()}", 2)
    for each in report:
        click.echo(_line(each))
    counted = Counter(each.outcome for each in report)
    counts = ", ".join(f"{count} {_SAID[outcome].partition(',')[0]}" for outcome, count in counted.items())
    click.echo(f"{output}: {len(scenario.rules)} rules of {len(report)} interactions: {counts}")


def _line(each: Imported) -> str:
    said = _SAID[each.outcome].format(frames=each.frames, total=each.total)
    return f"{each.name}: {said}" + (f" ({each.reason})" if each.reason else "")
