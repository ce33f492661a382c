"""`fakellm check`: checks whether scenario files can be served, without serving them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from fakellm.apis.effects import without_effect
from fakellm.apis.route import api_named
from fakellm.base.words.count import count
from fakellm.cli.not_a_scenario import problems_of
from fakellm.cli.serving import fail
from fakellm.importing.replies.patched_texts import in_reply_and_patch
from fakellm.scenarios.loader import read
from fakellm.scenarios.scenario import Rule
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
                for key in _without_effect(rule):
                    click.echo(f"{path}: {rule.name}: stream.{key} has no effect in {rule.when.api}")
    problems = [problem for path, reading in readings for problem in problems_of([path], reading.problems)]
    problems += [
        f"{path}: {rule.name}: {problem}"
        for path, reading in readings
        if reading.scenario is not None
        for rule in reading.scenario.named_rules()
        for problem in _repeated(rule)
    ]
    if problems:
        fail("\n".join(problems), 2)


def _repeated(rule: Rule) -> Iterator[str]:
    """A problem for each text that is in the reply and in the patch."""
    for number, text in in_reply_and_patch(rule):
        shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
        yield (
            f"patch[{number}] repeats {shown!r}, which the reply has: to edit the reply would not change it. "
            "Leave it out of one of them"
        )


_MOST_SHOWN = 40


def _without_effect(rule: Rule) -> Iterator[str]:
    """The keys of a rule for one API that have no effect there; a rule for all has its keys for some of them."""
    if rule.when.api is not None:
        keys = api_named(rule.when.api).stream_keys
        yield from dict.fromkeys(key for step in rule.steps for key in without_effect(step.stream, keys))
