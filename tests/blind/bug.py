"""What a wrong client is: one step of a careful one, replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from tests.blind.http import Http

Step = TypeVar("Step", bound=Callable[..., Any])


class Bug(NamedTuple):
    """A client with one bug, what it does wrong, and the clause that is against it."""

    name: str
    client: type[Http]
    sentence: str
    clause: str


BUGS: dict[str, Bug] = {}


def wrong(client: type[Http], step: str, clause: str) -> Callable[[Step], Step]:
    """Registers a client whose `step` is the decorated function. Its docstring is the sentence."""

    def register(function: Step) -> Step:
        name = function.__name__
        assert name not in BUGS, name
        assert hasattr(client, step), step
        kind = type(name, (client,), {step: function})
        BUGS[name] = Bug(name, kind, (function.__doc__ or "").strip(), clause)
        return function

    return register
