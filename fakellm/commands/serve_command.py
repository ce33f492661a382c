"""`fakellm serve`: the rules of scenario files, or generated text."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from fakellm.app import App
from fakellm.commands.common import fail, run, serving
from fakellm.errors import ScenarioError
from fakellm.loader import load_files


@click.command("serve")
@click.argument("scenarios", nargs=-1, type=click.Path(path_type=Path), metavar="[SCENARIO]...")
@click.option("--seed", default=0, show_default=True, help="All that is not scripted comes from it.")
@click.option("--strict", is_flag=True, help="Refuse what no rule meets, instead of answering with generated text.")
@serving
def command(scenarios: tuple[Path, ...], seed: int, strict: bool, **options: Any) -> None:
    """Serve the rules of SCENARIO files and folders, in order; with none, answer with generated text."""
    logging.basicConfig(level=logging.WARNING, format="fakellm: %(message)s")
    try:
        scenario = load_files(scenarios) if scenarios else None
    except ScenarioError as error:
        fail(str(error), 2)
    what = f"serves {len(scenario.rules)} rules of {scenario.name}" if scenario else "serves generated replies"
    run(App(scenario, seed=seed, strict=strict), what, **options)
