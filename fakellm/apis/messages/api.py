"""The Messages API as an API: implements `fakellm.apis.protocol`. Owns the order of the steps, not their work.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fakellm.apis.messages import infer, meaning
from fakellm.apis.messages.answer import answered
from fakellm.apis.messages.dialects import DIALECTS, dialect_of
from fakellm.apis.messages.habits import STREAM_KEYS, MessagesHabits, settings, variation
from fakellm.apis.messages.http import errors, headers
from fakellm.apis.messages.http.operations import OPERATIONS
from fakellm.apis.messages.http.urls import MessagesUrl, messages_url
from fakellm.apis.messages.names import NAME
from fakellm.apis.messages.read import read_body, read_events
from fakellm.apis.messages.requests.example import example
from fakellm.apis.messages.requests.parse import parse
from fakellm.apis.messages.whole import whole_body
from fakellm.apis.messages.write import MessagesWriter
from fakellm.apis.operation import Operation
from fakellm.apis.protocol import Answer, Failure, Provider, Settings, Values
from fakellm.apis.skeleton import Draft
from fakellm.apis.variation import Variation
from fakellm.base.errors import RequestError
from fakellm.model.blocks import Completion
from fakellm.model.deltas import Batch
from fakellm.model.request import Request
from fakellm.quotas.quota import Standing
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.shape import Likeness
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Event


class MessagesApi:
    """`POST /v1/messages`, in the dialect of a rule or of the URL."""

    name = NAME
    operations: Mapping[str, Mapping[str, Operation]] = OPERATIONS
    dialects: Collection[str] = tuple(DIALECTS)
    stream_keys: Collection[str] = STREAM_KEYS
    keeper = None
    restates = False

    def usual(self, dialect: str | None) -> Variation:
        return dialect_of(dialect).usual

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        return parse(body, headers, messages_url(url.partition("?")[0]) or MessagesUrl())

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        return example(tools)

    def validate(self, request: Request, habits: MessagesHabits) -> None:
        """Everything that is refused is refused when the request is parsed."""

    def allows_no_tokens(self, request: Request) -> bool:
        return False

    def settings(
        self, stream: Variation, dialect: str | None, request: Request, seed: int, streamed: bool
    ) -> Settings[MessagesHabits]:
        return settings(stream, dialect_of(dialect or _dialect_in(request)))

    def provider(self, habits: MessagesHabits) -> Provider:
        return habits.dialect

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        return completion

    def expressible(self, completion: Completion, habits: MessagesHabits, whole: bool = False) -> Completion:
        return meaning.expressible(completion, habits.input_at_start, whole)

    def answer(
        self, completion: Completion, request: Request, habits: MessagesHabits, seed: int, values: Values
    ) -> Answer[MessagesHabits]:
        return answered(completion, request, habits, seed, values)

    def grammar(self, habits: MessagesHabits) -> Grammar:
        return meaning.grammar(habits.input_at_start)

    def shared(self, request: Request) -> Hashable:
        return _dialect_in(request) or "anthropic"

    def alike(self, habits: MessagesHabits) -> Likeness:
        return "all"

    def write(self, batches: Sequence[Batch], answer: Answer[MessagesHabits]) -> Iterator[tuple[Draft, ...]]:
        writer = MessagesWriter(batches, answer)
        return (tuple(writer.drafts(batch)) for batch in batches)

    def read(self, events: Iterable[Event], habits: MessagesHabits, choices: int = 1) -> Iterator[Batch]:
        return read_events(events)

    def whole(self, answer: Answer[MessagesHabits]) -> bytes:
        return whole_body(answer)

    def read_whole(self, body: bytes, habits: MessagesHabits) -> Iterator[Batch]:
        return read_body(body)

    def content_type(self, habits: MessagesHabits, stream: bool) -> str:
        return "text/event-stream; charset=utf-8" if stream else "application/json"

    def infer(self, events: Sequence[Event]) -> tuple[MessagesHabits, Values]:
        return infer.infer(events, dialect_of(None))

    def infer_whole(self, body: bytes) -> tuple[MessagesHabits, Values]:
        return infer.infer_whole(body, dialect_of(None))

    def block(self, habits: MessagesHabits) -> tuple[str | None, Variation]:
        return habits.dialect.name, variation(habits)

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        return errors.refuse(error)

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        return headers.usual(seed, requested, status)

    def quota_headers(self, standing: Standing) -> Sequence[tuple[str, str]]:
        return headers.quotas(standing)

    def refuse(self, failure: Failure, habits: MessagesHabits) -> tuple[str, bytes]:
        return errors.error_body(failure, habits.dialect.errors)

    def broken(
        self, failure: Failure, habits: MessagesHabits, shape: str | None, events: Sequence[Event], place: int
    ) -> tuple[Sequence[Event | str], bool]:
        return (errors.in_stream(failure),), False


MESSAGES = MessagesApi()


def _dialect_in(request: Request) -> str | None:
    """The dialect that the URL of a request states."""
    url = request.chat
    return url.dialect if isinstance(url, MessagesUrl) and url.dialect in DIALECTS else None
