"""What to do if `fakellm fuzz` cannot try a client: a missing `--`, and the command to look at a plain stream."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import click

from fakellm.apis.route import Route
from fakellm.fuzzing.endpoints import endpoint_of, name_of


class FuzzCommand(click.Command):
    """A command that has the remedy if a driver's option is taken for one of its own."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        start = None if "--" in words else self._driver(words)
        try:
            found = super().parse_args(context, args)
        except click.NoSuchOption as error:
            if start is None:
                raise
            raise _without_dashes(error.message, words, start, context) from None
        if start is not None and not context.params["merges"] and any(word.startswith("-") for word in words[start:]):
            raise _without_dashes("An option stands behind the driver's command.", words, start, context)
        return found

    def _driver(self, words: Sequence[str]) -> int | None:
        """Where the command of the driver starts: at the first word that is neither an option nor the value of one."""
        flags = {name for each in self.params if getattr(each, "is_flag", False) for name in each.opts}
        value = False
        for number, word in enumerate(words):
            if not value and not word.startswith("-"):
                return number
            value = not value and word not in flags and "=" not in word
        return None


def _without_dashes(problem: str, words: Sequence[str], start: int, context: click.Context) -> click.UsageError:
    """The error for a driver's command, which starts at this word, without -- before it."""
    own, driver = (shlex.join(each) for each in (words[:start], words[start:]))
    remedy = " ".join(filter(None, ("fakellm fuzz", own, "--", driver)))
    return click.UsageError(f"{problem} Write -- before the driver's command: {remedy}", context)


def look(command: Sequence[str], api: Route, timeout: float) -> str:
    """How to see what the client does with a plain stream."""
    endpoint, name = endpoint_of(api), name_of(api)
    case = {"id": 1, "api": name, "base_url": f"http://127.0.0.1:8080{endpoint.base}"}
    line = json.dumps({**case, "request": api.example(), "timeout": timeout})
    return (
        "   To look at it: fakellm serve --port 8080, and in another terminal:\n"
        f"   echo {shlex.quote(line)} | {shlex.join(command)}"
    )
