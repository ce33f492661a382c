"""The command line: the list of commands. Each command is a module of this package, `<name>_command`.

A command is imported when it runs, so that none loads what only another needs.
"""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = ("serve", "check", "render", "schema", "replay", "record", "import", "export", "fuzz")


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"fakellm.cli.{cmd_name}_command").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fakellm-server", prog_name="fakellm")
def main() -> None:
    """A deterministic fake LLM server for testing."""
