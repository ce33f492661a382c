"""The protocol that every API implements, as one object. Owns the protocol and its values.

The rest of the code depends on nothing else of an API, so that a new API is a new package and a line in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType

from fakellm.apis.operation import Keeper, Operation
from fakellm.apis.refuser import Refuser
from fakellm.apis.skeleton import Draft
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.model.blocks import Completion, Own, Usage
from fakellm.model.deltas import Batch
from fakellm.model.request import Request
from fakellm.quotas.quota import Standing
from fakellm.streaming.division import Division
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.score import Score
from fakellm.streaming.shape import Likeness
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.sse import Event

Habits = TypeVar("Habits")
Values = Mapping[str, Any]
"""What is drawn for each answer, by name: ids, times, model names, padding texts. Recorded or scripted values take
precedence."""


class InexpressibleError(ValueError):
    """A completion that an API cannot express, such as arguments that must be a JSON object but are not."""


class Failure(Struct, frozen=True):
    """The fields of an error; those that are None are the provider's usual ones for the status.

    headers: those of the response that reports it, by their names in lower case, which its body may repeat.
    """

    status: int
    message: str | None = None
    type: str | UnsetType | None = UNSET
    code: str | int | UnsetType | None = UNSET
    param: str | None = None
    headers: Mapping[str, str] = {}


class Answer(Struct, Generic[Habits], frozen=True):
    """An answer to send: a completion that the API can express, the API's habits, and the values drawn for this answer.

    `source` draws random cuts, and what a writer adds to each event.
    """

    completion: Completion
    habits: Habits
    drawn: Values
    source: Source


class Settings(Struct, Generic[Habits], frozen=True):
    """The flat `stream:` block of a rule, divided among its owners."""

    division: Division
    habits: Habits
    framing: Framing
    transfer: Transfer
    score: Score | None = None
    """What each batch holds; replaces the division."""


class Provider(Protocol):
    """What an API, or one of its providers, does where a reply does not set it."""

    @property
    def call_id(self) -> Callable[[Source], str]:
        """Draws the id of a tool call."""
        ...

    @property
    def finishes(self) -> bool:
        """Whether a finish reason is sent if the reply does not set one."""
        ...

    @property
    def named_call_finish(self) -> str:
        """The finish reason after a call that the request named."""
        ...

    def stopped(self, sequence: str) -> Own:
        """What only its API sends with the finish of a generated text that ends before this stop sequence."""
        ...

    @property
    def hides_reasoning(self) -> bool:
        """Whether the reasoning of a generated reply is counted but not sent."""
        ...

    @property
    def output_excludes_reasoning(self) -> bool:
        """Whether the output tokens do not include the reasoning tokens."""
        ...

    def total(self, usage: Usage) -> int:
        """The sum of the tokens, as its usage usually states it."""
        ...


class Api(Refuser, Protocol[Habits]):
    """How one API is spelled and read."""

    def __hash__(self) -> int:
        """The object's identity: there is one object per API."""
        ...

    @property
    def name(self) -> str:
        """Its name, which is its key in `own` of a block."""
        ...

    @property
    def operations(self) -> Mapping[str, Mapping[str, Operation]]:
        """Operations that return no reply, by route and method: count, list models, embed."""
        ...

    @property
    def keeper(self) -> Keeper | None:
        """How it keeps its replies; None if it does not."""
        ...

    # Dialects

    @property
    def dialects(self) -> Collection[str]:
        """The dialects that a rule can name; none if the API has only one spelling."""
        ...

    def usual(self, dialect: str | None) -> Variation:
        """The `stream:` block of a dialect's usual wire. A field that it leaves open is as on the plain wire."""
        ...

    @property
    def stream_keys(self) -> Collection[str]:
        """The keys of a `stream:` block that have an effect, as `without_effect` names them."""
        ...

    # Requests

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        """The request. `url`: the path and the query, in which some APIs have the model or the mode. Raises
        RequestError, naming the parameter, for one that is not valid."""
        ...

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        """The body of a request for a stream with usage: with tools of these names, and for as many choices, as far as
        the API has them."""
        ...

    def validate(self, request: Request, habits: Habits) -> None:
        """Raises RequestError, naming the parameter, for a request that the provider with these habits refuses."""
        ...

    def allows_no_tokens(self, request: Request) -> bool:
        """Whether the request leaves a generated reply no token."""
        ...

    def settings(
        self, stream: Any, dialect: str | None, request: Request, seed: int, streamed: bool
    ) -> Settings[Habits]:
        """How a reply with this `stream:` block is divided, spelled, framed and sent to this request, in a dialect.

        `streamed`: whether the reply is sent as a stream; then the request decides what is left out of it.
        """
        ...

    def provider(self, habits: Habits) -> Provider:
        """What the provider with these habits does where a reply does not set it."""
        ...

    # Completions

    @property
    def restates(self) -> bool:
        """Whether `restate` may change a completion."""
        ...

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        """The completion as the request requires it, such as a choice per prompt; `counted`: its usage was counted."""
        ...

    def expressible(self, completion: Completion, habits: Habits, whole: bool = False) -> Completion:
        """The part of a completion that this API can express; idempotent. `whole`: in a whole body. Raises
        InexpressibleError."""
        ...

    def answer(
        self, completion: Completion, request: Request, habits: Habits, seed: int, values: Values
    ) -> Answer[Habits]:
        """The answer for an expressible completion: missing call ids are drawn, and all values that `values` lacks."""
        ...

    # Streams and bodies

    def grammar(self, habits: Habits) -> Grammar:
        """What streams with these habits can look like."""
        ...

    def shared(self, request: Request) -> Hashable:
        """What `settings` reads of a request: equal for requests that get equal settings; None if no other does."""
        ...

    def alike(self, habits: Habits) -> Likeness:
        """Which further pieces of a text differ in nothing but the piece, so that one event can stand for theirs: all,
        or those that are white space and those that are not; or none, since an event depends on the texts in its batch
        or on its number."""
        ...

    def write(self, batches: Sequence[Batch], answer: Answer[Habits]) -> Iterator[tuple[Draft, ...]]:
        """The events of each batch; values of batches and answer may be holes. Never raises, whatever the batches."""
        ...

    def read(self, events: Iterable[Event], habits: Habits, choices: int = 1) -> Iterator[Batch]:
        """The batches of these events. If the API has no event that ends a stream: with an End after the last event, if
        all `choices` have finished."""
        ...

    def whole(self, answer: Answer[Habits]) -> bytes:
        """The body of a reply that is not streamed."""
        ...

    def read_whole(self, body: bytes, habits: Habits) -> Iterator[Batch]:
        """The batches that have the same meaning as a whole body."""
        ...

    def content_type(self, habits: Habits, stream: bool) -> str:
        """The Content-Type of its streams, or of its whole bodies."""
        ...

    def infer(self, events: Sequence[Event]) -> tuple[Habits, Values]:
        """The habits and the drawn values of a recorded stream."""
        ...

    def infer_whole(self, body: bytes) -> tuple[Habits, Values]:
        """The habits and the drawn values of a recorded body."""
        ...

    def block(self, habits: Habits) -> tuple[str | None, Variation]:
        """The dialect and the `stream:` block that have these habits: the inverse of `settings`, but for division and
        framing."""
        ...

    def quota_headers(self, standing: Standing) -> Sequence[tuple[str, str]]:
        """The headers that show what is left of quotas and, after a refusal, when to try again, which
        replace those of `headers`; names in lower case."""
        ...

    # Errors

    def refuse(self, failure: Failure, habits: Habits) -> tuple[str, bytes]:
        """An error before the stream: the Content-Type and the body in the API's shape."""
        ...

    def broken(
        self, failure: Failure, habits: Habits, shape: str | None, events: Sequence[Event], place: int
    ) -> tuple[Sequence[Event | str], bool]:
        """An error in a stream of these events, as events or lines, and whether the usual end follows it.

        `shape`: one of the API's shapes, by name. `place`: how many of the events come first.
        """
        ...
