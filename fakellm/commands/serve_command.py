"""`fakellm serve`: the rules of scenario files, or generated text."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from fakellm.app import App
from fakellm.commands.common import fail, run, serving
from fakellm.doors.keys import checked_key
from fakellm.errors import ScenarioError
from fakellm.loader import load_files


def _keys(_context: click.Context, _option: click.Parameter, keys: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(map(checked_key, keys))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("serve")
@click.argument("scenarios", nargs=-1, type=click.Path(path_type=Path), metavar="[SCENARIO]...")
@click.option("--seed", default=0, show_default=True, help="All that is not scripted comes from it.")
@click.option("--strict", is_flag=True, help="Refuse what no rule meets, instead of answering with generated text.")
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    callback=_keys,
    metavar="KEY",
    help="Refuse requests without this key; may be given several times.",
)
@serving
def command(scenarios: tuple[Path, ...], seed: int, strict: bool, api_keys: tuple[str, ...], **options: Any) -> None:
    """Serve the rules of SCENARIO files and folders, in order; with none, answer with generated text."""
    logging.basicConfig(level=logging.WARNING, format="fakellm: %(message)s")
    try:
        scenario = load_files(scenarios) if scenarios else None
    except ScenarioError as error:
        fail(str(error), 2)
    what = f"serves {len(scenario.rules)} rules of {scenario.name}" if scenario else "serves generated replies"
    run(App(scenario, seed=seed, strict=strict, api_keys=api_keys), what, **options)
