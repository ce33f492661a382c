"""A route that a model answers, as functions. Knows no session, no rules and no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from fakellm.apis.chat.dialect import Dialect
from fakellm.model.completion import Completion
from fakellm.model.request import Request, parse


class Route(Struct, frozen=True):
    """How a route reads a request, and what it makes of the completion that answers it."""

    parse: Callable[[bytes, Mapping[str, str]], Request]
    """The request in a body, with these headers. Raises RequestError, naming the parameter, for an invalid one."""
    dialect: Callable[[Request, int], Dialect | None] = lambda request, seed: None
    """The dialect of every reply of this route; None for the rule's own."""
    restate: Callable[[Completion, Request, bool], Completion] = lambda completion, request, counted: completion
    """The completion as this route can express it; `counted`: its usage is counted anew."""
    wants_nothing: Callable[[Request], bool] = lambda request: False
    """Whether the request leaves a generated reply no token."""


CHAT = Route(parse)
