"""Counts how often an agent has made the same calls in a row: one that never ends repeats them for ever.

Knows no rules; the engine decides what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from fakellm.base.json_text import dumps
from fakellm.model.request import Message, Request

MOST_REPEATS = 100
"""Times that an agent makes the same calls in a row. Agent frameworks end a loop of their own accord after 10 to 50."""

Calls = tuple[tuple[str, str], ...]
"""The name and the arguments of each."""


def repeated_calls(request: Request) -> Calls:
    """The calls that the assistant has made MOST_REPEATS times in a row, each with a result, and with no message of the
    user in between; none if it has not. Their ids and results may differ."""
    if len(request.messages) < 2 * MOST_REPEATS:
        return ()
    rounds = list(islice(_rounds(request.messages), MOST_REPEATS))
    if len(rounds) < MOST_REPEATS or len({*rounds}) > 1:
        return ()
    return rounds[0]


def same_arguments(made: str | dict[str, Any], sent: str) -> bool:
    """Whether the arguments of a call that a reply makes are those of one that was sent: an SDK may have written the
    JSON with other spaces, or without a value if there are none."""
    text = made if isinstance(made, str) else dumps(made)
    return text == sent or _value(text) == _value(sent)


def _value(arguments: str) -> Any:
    """The JSON value, or the text if it is not valid JSON, as the input of a custom tool."""
    try:
        return msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return arguments


def _rounds(messages: tuple[Message, ...]) -> Iterator[Calls]:
    """The calls of each reply since the user's last message that have results, the latest first."""
    calls: Calls = ()
    answered = False
    for message in reversed(messages):
        if message.role == "assistant":
            if not answered:
                continue
            calls = (*((call.name, call.arguments) for call in message.calls), *calls)
        elif message.role in ("tool", "function"):
            if calls:
                yield calls
            calls, answered = (), True
        else:
            break
    if calls:
        yield calls
