"""Real clients behind one interface, so that each task is written once: one adapter for each client and API.

An adapter configures its client as a user does: with the environment variables of the handle or, where the client reads
none, with a base URL and a key. Everything else is the client's default.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from fakellm.engine.entry import Entry
from fakellm.testing.handle import Handle

QUESTION = "How cold is it in Oslo?"


class Weather(BaseModel):
    """The weather in a city."""

    city: str
    degrees: int


def temperature(city: str) -> str:
    """The temperature in a city, in °C."""
    cities.append(city)
    return "3 °C"


cities: list[str] = []
"""The cities for which the tool was called. A test empties it first."""

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
"""The schema of the tool's arguments, for clients that do not make it from the function."""


@dataclass(frozen=True)
class Ask:
    """What is requested besides the question: that the tool may be called, that the answer is a `Weather`, or that the
    model thinks first."""

    tool: bool = False
    shape: bool = False
    thinks: bool = False


@dataclass
class Answer:
    """What a client returned at the end of a conversation."""

    text: str = ""
    thinking: str = ""
    value: Any = field(default=None)
    """The structured answer."""


class Adapter(Protocol):
    """A client of one API."""

    def ask(self, ask: Ask, stream: bool) -> Answer:
        """Puts the question, and runs the tool until the answer is a text."""

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        """As `ask`, with the asynchronous client."""

    def leave(self) -> str:
        """The first text of a streamed answer, after which the client leaves."""

    async def leave_async(self) -> str:
        """As `leave`, with the asynchronous client."""


def has_left(server: Handle) -> bool:
    """Whether the client of the first reply has left it. The server notices this soon, not at once. LlamaIndex closes
    a connection only when Python collects the stream that it dropped."""
    gc.collect()
    for _ in range(1000):
        first = replies(server)[0]
        if first.outcome == "client left":
            return True
    return False


def replies(server: Handle) -> list[Entry]:
    """The requests for replies. LlamaIndex asks for the model's description first."""
    return [entry for entry in server.journal if entry.method == "POST" and not entry.path.endswith("/api/show")]


Turns = Generator[dict[str, Any], Any, Answer]
"""A conversation without its sockets: yields the arguments of each request, and is sent what the client returned."""


def converse(turns: Turns, send: Callable[[dict[str, Any]], Any]) -> Answer:
    """The answer at the end of a conversation."""
    fields = next(turns)
    while True:
        try:
            fields = turns.send(send(fields))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # what the generator returns


async def converse_async(turns: Turns, send: Callable[[dict[str, Any]], Awaitable[Any]]) -> Answer:
    fields = next(turns)
    while True:
        try:
            fields = turns.send(await send(fields))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # what the generator returns


def called(arguments: str | dict[str, Any]) -> str:
    """The result of the tool for these arguments."""
    return temperature(**(json.loads(arguments) if isinstance(arguments, str) else arguments))
