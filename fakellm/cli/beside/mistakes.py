"""Adds to click's errors about options what to write instead."""

from __future__ import annotations

import re

import click

from fakellm.base.words.near_miss import meant

_FILES = ("--scenario", "--scenarios", "--file", "--config", "--rules", "-f", "-c")
"""What other tools call the option for what is an argument here."""

_DURATION = re.compile(r"'(\d+(?:\.\d+)?) ?(ms|s)' is not a valid")


def explained(error: click.UsageError) -> click.UsageError:
    """The error, with the remedy if there is one."""
    command = error.ctx.command if error.ctx else None
    if isinstance(error, click.NoSuchOption) and command and (remedy := _of_option(error.option_name, command)):
        return click.UsageError(f"No such option {error.option_name!r}. {remedy}", error.ctx)
    if isinstance(error, click.BadParameter) and error.param and (remedy := _of_value(error.message, error.param)):
        return click.BadParameter(error.message + remedy, error.ctx, error.param, error.param_hint)
    return error


def _of_option(name: str, command: click.Command) -> str:
    """What to write in place of an unknown option; empty if that is not known."""
    if name in _FILES and any(_is_file(each) for each in command.params):
        return f"A file is an argument: fakellm {command.name} FILE"
    return "Did you mean '--port'?" if name == "-p" and any("--port" in each.opts for each in command.params) else ""


def _is_file(parameter: click.Parameter) -> bool:
    """Whether it is an argument that is a file."""
    kind = parameter.type
    return isinstance(parameter, click.Argument) and isinstance(kind, click.Path) and kind.file_okay


def _of_value(message: str, option: click.Parameter) -> str:
    """What follows the message about a value."""
    if isinstance(option.type, click.Choice) and (found := re.match(r"'(.*)' is not one of", message)):
        word = meant(found[1], list(option.type.choices))
        return f" Did you mean {word!r}?" if word else ""
    if option.metavar == "SECONDS" and (found := _DURATION.match(message)):
        return f" Write {float(found[1]) / (1000 if found[2] == 'ms' else 1):g}, in seconds."
    return ""
