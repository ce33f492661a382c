"""Adds to click's errors about options what to write instead."""

from __future__ import annotations

import re

import click

from fakellm.base.words.near_miss import meant

_FILES = ("--scenario", "--scenarios", "--file", "--config", "--rules", "-f", "-c")
"""What other tools call the option for what is an argument here."""

_DURATION = re.compile(r"'(\d+(?:\.\d+)?) ?(ms|s)' is not a valid")


def explain(error: click.UsageError) -> None:
    """Changes the message of an error for which there is a remedy."""
    command = error.ctx.command if error.ctx else None
    if isinstance(error, click.NoSuchOption) and command:
        _of_option(error, command)
    elif isinstance(error, click.BadParameter) and isinstance(error.param, click.Parameter):
        error.message += _of_value(error.message, error.param)


def _of_option(error: click.NoSuchOption, command: click.Command) -> None:
    files = [each for each in command.params if isinstance(each, click.Argument)]
    if error.option_name in _FILES and files:
        error.message += f" A file is an argument: fakellm {command.name} FILE"
    elif error.option_name == "-p" and any("--port" in each.opts for each in command.params):
        error.message += " Did you mean '--port'?"
    else:
        return
    error.possibilities = []


def _of_value(message: str, option: click.Parameter) -> str:
    """What follows the message about a value."""
    if isinstance(option.type, click.Choice) and (found := re.match(r"'(.*)' is not one of", message)):
        word = meant(found[1], list(option.type.choices))
        return f" Did you mean {word!r}?" if word else ""
    if option.metavar == "SECONDS" and (found := _DURATION.match(message)):
        return f" Write {float(found[1]) / (1000 if found[2] == 'ms' else 1):g}, in seconds."
    return ""
