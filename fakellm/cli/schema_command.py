"""`fakellm schema`: prints the JSON Schema of scenario files, for completion in editors."""

from __future__ import annotations

import click

from fakellm.base.json_text import dumps
from fakellm.scenarios.editor_schema import scenario_schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of scenario files.

    For completion in editors, save it to a file and refer to that file in the first line of a scenario:
    `# yaml-language-server: $schema=fakellm.schema.json`
    """
    click.echo(dumps(scenario_schema(), indent=2))
