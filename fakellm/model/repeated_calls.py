"""Counts how often an agent has made the same calls in a row: one that never ends repeats them for ever.

Knows no rules; the engine decides what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fakellm.model.request import Message, Request

MOST_REPEATS = 100
"""Times that an agent makes the same calls in a row. Agent frameworks end a loop of their own accord after 10 to 50."""

Calls = tuple[tuple[str, str], ...]
"""The name and the arguments of each."""


def repeated_calls(request: Request) -> tuple[str, ...]:
    """The names of the calls that the assistant has made MOST_REPEATS times in a row, without a word of the user in
    between, each with a result; none if it has not. Neither ids nor results matter, which may have a time in them."""
    if len(request.messages) < 2 * MOST_REPEATS:
        return ()
    rounds = list(islice(_rounds(request.messages), MOST_REPEATS))
    if len(rounds) < MOST_REPEATS or len({*rounds}) > 1:
        return ()
    return tuple(name for name, _ in rounds[0])


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
