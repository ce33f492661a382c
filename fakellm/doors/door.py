"""A route that a model answers, as three functions. Owns the chat's; knows no session and no HTTP."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from fakellm.render import generated, render
from fakellm.request import Request, parse
from fakellm.scenario import Reply, Rule
from fakellm.wire import Plan


class Door(Struct, frozen=True):
    """How a route reads its body, what it says where no rule does, and how it says what a rule says."""

    parse: Callable[[bytes], Request]
    """Raises RequestError for a body that asks for nothing."""
    generated: Callable[[Request, int], Reply]
    render: Callable[[Rule, Request, int], Plan]


CHAT = Door(parse, generated, render)
