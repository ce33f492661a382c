"""Reads the values of `fakellm fuzz`'s options: times, shards and clients. Knows which options have no effect."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

import click
from click.core import ParameterSource

_UNITS = {"s": 1, "m": 60, "h": 3600}


def duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """The seconds in a time such as 90s, 10m or 1.5h. Raises BadParameter."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", value)
    if found is None or not float(found[1]):
        raise click.BadParameter(f"expected a time above 0 such as 90s, 10m or 1.5h, got {value!r}")
    return float(found[1]) * _UNITS[found[2]]


def shard(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """Which of how many shards, such as 2/8. Raises BadParameter."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", value)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"expected the number of a shard and of all shards, such as 2/8, got {value!r}")
    return int(found[1]), int(found[2])


def check_unused(option: str, names: Iterable[str]) -> None:
    """Raises UsageError if one of these options, which have no effect beside `option`, is set."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{parameter.opts[0]} has no effect with {option}: leave it out")


def named_clients(clients: list[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """The commands by the names of their clients. Raises UsageError if two have the same name."""
    names = [name for name, _ in clients]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(
                f"two clients are named {name!r}: give each a name of its own with --client NAME=CMD"
            )
    return dict(clients)


def named_client(text: str) -> tuple[str, tuple[str, ...]]:
    """The name and the command in NAME=CMD. Raises BadParameter."""
    name, _, line = text.partition("=")
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {str(error).lower()}", param_hint="--client") from None
    if not words or not re.fullmatch(r"[\w.@-]+", name):
        raise click.BadParameter(f"expected NAME=CMD, got {text!r}", param_hint="--client")
    return name, words
