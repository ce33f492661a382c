"""What an API is to the rest of the code: one object that implements this protocol. Owns the protocol and its values.

The rest of the code depends on nothing else of an API, so that a new one is a new package and a line in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from fakellm.base.seed import Source
from fakellm.model.blocks import Completion
from fakellm.model.deltas import Batch
from fakellm.streaming.grammar import Grammar

Habits = TypeVar("Habits")
Values = Mapping[str, Any]
"""What is drawn for each answer, by name: ids, times, model names, padding texts. Recorded or scripted values take
precedence."""


class UnsayableError(ValueError):
    """A completion that an API cannot express, such as arguments that are not a JSON object where it needs one."""


class Event(Struct, frozen=True):
    """One event of a stream: an optional name and its data, as text that is ready to be framed.

    `raw`: whether `data` is a line of its own, which no reader takes for an event.
    """

    data: str
    name: str | None = None
    raw: bool = False


class Answer(Struct, Generic[Habits], frozen=True):
    """What is sent: a completion that the API can express, the API's habits, and the values drawn for this answer.

    `source` draws what a writer adds to each event.
    """

    completion: Completion
    habits: Habits
    drawn: Values
    source: Source


class Route(Struct, frozen=True):
    """A method and a path, with `{name}` for a part that varies."""

    method: str
    path: str


class Api(Protocol[Habits]):
    """How one API is spelled and read."""

    name: str
    routes: tuple[Route, ...]
    framing: str
    """How events become bytes: `sse`, `ndjson` or `json`."""
    content_type: str

    @property
    def operations(self) -> Mapping[str, Callable[..., Any]]:
        """What is not a reply: retrieve, delete, poll, count, by route."""
        ...

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Any:
        """The request. Raises RequestError for a body that requests nothing."""
        ...

    def grammar(self, habits: Habits) -> Grammar:
        """What its streams can look like."""
        ...

    def sayable(self, completion: Completion, habits: Habits, whole: bool = False) -> Completion:
        """All that this API can express of a completion; idempotent. `whole`: in a whole body. Raises
        UnsayableError."""
        ...

    def answer(
        self, completion: Completion, request: Any, habits: Habits, seed: int, values: Values | None = None
    ) -> Answer[Habits]:
        """The answer with a sayable completion: absent call ids filled in, all else drawn unless `values` has it."""
        ...

    def write(self, batches: Sequence[Batch], answer: Answer[Habits]) -> Iterator[tuple[Event, ...]]:
        """The events of each batch. Never raises, whatever the batches."""
        ...

    def read(self, events: Iterable[Event], habits: Habits, choices: int = 1) -> Iterator[Batch]:
        """The batches of these events. If no event ends a stream: an End at its clean end, once all `choices` have
        finished."""
        ...

    def whole(self, answer: Answer[Habits]) -> bytes:
        """The body of a reply that is not streamed."""
        ...

    def read_whole(self, body: bytes, habits: Habits) -> Iterator[Batch]:
        """The batches that a whole body amounts to."""
        ...

    def infer(self, events: Sequence[Event]) -> tuple[Habits, Values]:
        """The habits and the drawn values of a recorded stream."""
        ...

    def infer_whole(self, body: bytes) -> tuple[Habits, Values]:
        """The habits and the drawn values of a recorded body."""
        ...

    def refuse(self, status: int, message: str, code: str | None = None) -> tuple[int, Mapping[str, str], bytes]:
        """An error before the stream, as status, headers and body in the API's shape."""
        ...
