"""`fakellm check`: checks whether scenario files can be served, without serving them."""

from __future__ import annotations

from pathlib import Path

import click

from fakellm.base.words.count import count
from fakellm.cli.not_a_scenario import problems_of
from fakellm.cli.serving import fail
from fakellm.importing.replies.patched_texts import repeated_in, without_effect_in
from fakellm.scenarios.loader import read
from fakellm.server.garbage import paused


@click.command("check", short_help="Check whether scenario files can be served.")
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
            for rule in reading.scenario.named_rules():
                for key in without_effect_in(rule):
                    click.echo(f"{path}: {rule.name}: stream.{key} has no effect in {rule.when.api}")
                for placeholder in dict.fromkeys(each for step in rule.steps for each in step.reply.unfilled()):
                    remedy = "to fill it, add template: true to the reply"
                    click.echo(f"{path}: {rule.name}: {placeholder} is sent as it is; {remedy}")
    problems = [problem for path, reading in readings for problem in problems_of([path], reading.problems)]
    problems += [
        f"{path}: {rule.name}: {problem}"
        for path, reading in readings
        if reading.scenario is not None
        for rule in reading.scenario.named_rules()
        for problem in repeated_in(rule)
    ]
    if problems:
        fail("\n".join(problems), 2)
