"""The command line: the list of commands. Each command is a module of this package, `<name>_command`.

A command is imported when it runs, so that none loads what only another needs.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Any

import click

from fakellm.server.garbage import paused

_INTERRUPTED = 128 + 2
_COMMANDS = ("init", "serve", "check", "render", "schema", "replay", "record", "import", "export", "fuzz")


def _line(message: Warning | str, *_: object) -> str:
    """How a warning is printed: without the place in the code, which is not the user's."""
    return f"fakellm: {message}\n"


class _Commands(click.Group):
    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            import_module("fakellm.base")
        except ImportError as error:  # the package is damaged; a traceback would hide the message
            sys.exit(f"fakellm: {error}")
        warnings.formatwarning = _line  # type: ignore[assignment]
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command. Ctrl+C ends it without a message, with the exit code that shells have for SIGINT; a command
        that has to tidy up does so first."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)
        except click.UsageError as error:
            from fakellm.cli.beside.mistakes import explained  # not above: it is seldom needed

            raise explained(error) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument. Raises UsageError with the nearest command, if there is none."""
        if args[0] in _COMMANDS or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        from fakellm.base.words.near_miss import near_miss  # not above: `main` reports if the package is damaged

        if args[0].endswith((".yaml", ".yml", ".json")):
            hint = f"; to serve it: fakellm serve {args[0]}"
        else:
            hint = near_miss(args[0], _COMMANDS) or f"; there are {', '.join(_COMMANDS)}"
        raise click.UsageError(f"No such command {args[0]!r}{hint}", ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        with paused():
            command: click.Command = import_module(f"fakellm.cli.{cmd_name}_command").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fakellm-server", prog_name="fakellm")
def main() -> None:
    """A deterministic fake LLM server for testing."""
