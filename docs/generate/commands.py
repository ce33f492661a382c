"""The page of every command and its options, from click."""

from __future__ import annotations

import inspect

import click

from docs.generate.markdown import NOTE, prose, table
from fakellm.cli import main

INTRODUCTION = f"""\
# All commands

{NOTE}

What `fakellm COMMAND --help` prints. There are examples of `serve` in [the server](server.md), of `replay`,
`record`, `import` and `export` in [recordings](recordings.md), and of `fuzz` in [fuzzing](fuzzing.md).
"""


def page() -> str:
    """The text of the page."""
    context = click.Context(main, info_name="fakellm")
    commands = [(name, main.get_command(context, name)) for name in main.list_commands(context)]
    return "\n".join([INTRODUCTION, *(_section(command, name) for name, command in commands if command)])


def _section(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=f"fakellm {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    help_text = prose(inspect.cleandoc(command.help or "").replace("\b\n", ""))
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    parts = [f"## fakellm {name}", f"```text\nfakellm {name} {usage}\n```", help_text]
    if options:
        rows = [(_names(option, context), _default(option), prose(option.help or "")) for option in options]
        parts.append(table(("option", "default", "effect"), rows).rstrip())
    return "\n\n".join(parts) + "\n"


def _names(option: click.Option, context: click.Context) -> str:
    value = "" if option.is_flag or option.count else f" {option.make_metavar(context)}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def _default(option: click.Option) -> str:
    default = option.default
    shown = isinstance(default, (str, int, float)) and not isinstance(default, bool) and not option.is_flag
    return f"`{default}`" if shown else ""
