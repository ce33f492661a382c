"""`fakellm schema`: the JSON Schema of scenario files, for completion in editors."""

from __future__ import annotations

import click

from fakellm.base.json_text import dumps
from fakellm.scenarios.editor_schema import scenario_schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of scenario files.

    Keep it in a file, and name that in the first line of a scenario, for completion in editors:
    `# yaml-language-server: $schema=fakellm.schema.json`
    """
    click.echo(dumps(scenario_schema(), indent=2))
