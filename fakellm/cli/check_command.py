"""`fakellm check`: checks whether scenario files can be served, without serving them."""

from __future__ import annotations

from pathlib import Path

import click

from fakellm.cli.serving import count, fail
from fakellm.scenarios.loader import read
from fakellm.server.garbage import paused


@click.command("check")
@click.argument("scenarios", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SCENARIO...")
def command(scenarios: tuple[Path, ...]) -> None:
    """Read SCENARIO files and folders, each as a separate scenario, and report every problem in them.

    Exit codes: 0 if all of them can be served, 2 if not.
    """
    with paused():
        readings = [(path, read([path])) for path in scenarios]
    for path, reading in readings:
        if reading.scenario is not None:
            click.echo(f"{path}: {count(len(reading.scenario.rules), 'rule')} of {reading.scenario.name}")
    problems = [problem for _, reading in readings for problem in reading.problems]
    if problems:
        fail("\n".join(problems), 2)
