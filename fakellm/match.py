"""Which rule a request meets. Owns `When` and the differences; a match is no differences."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any

from msgspec import Meta, Struct

from fakellm.request import Request


class When(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `when:` block of a rule; what is not given matches anything.

    model: the model asked for; `*`, `?` and `[…]` as in file names.
    turn: which reply of the conversation is asked for, 1 for the first: the assistant's messages so far, plus one.
    tools: functions that must be among those offered.
    """

    model: str | None = None
    turn: Annotated[int, Meta(ge=1)] | None = None
    tools: tuple[str, ...] | None = None


class Difference(Struct, frozen=True):
    """One thing that a rule wanted otherwise."""

    field: str
    wanted: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.field}: wanted {self.wanted!r}, got {self.got!r}"


def difference(when: When, request: Request) -> tuple[Difference, ...]:
    """Everything in which `request` is not what `when` asks for, in the order of its fields; nothing is a match."""
    found = []
    if when.model is not None and not fnmatchcase(request.chat.model, when.model):
        found.append(Difference("model", when.model, request.chat.model))
    if when.turn is not None and when.turn != request.turn:
        found.append(Difference("turn", when.turn, request.turn))
    if when.tools is not None and not set(when.tools) <= set(request.tools):
        found.append(Difference("tools", list(when.tools), list(request.tools)))
    return tuple(found)
