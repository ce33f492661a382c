"""The Responses API: implements `fakellm.apis.protocol`. Owns the order of the steps, not their work.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fakellm.apis.openai.error_body import refuse
from fakellm.apis.openai.response_headers import quotas
from fakellm.apis.operation import Operation
from fakellm.apis.protocol import Answer, Failure, Provider, Settings, Values
from fakellm.apis.responses import errors, meaning
from fakellm.apis.responses.dialects.headers import usual
from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.apis.responses.habits import STREAM_KEYS, Habits, settings
from fakellm.apis.responses.names import NAME
from fakellm.apis.responses.reading.infer import block, infer, infer_whole
from fakellm.apis.responses.reading.read import read
from fakellm.apis.responses.requests.example import example
from fakellm.apis.responses.requests.parse import check_limit, parse, summarizes
from fakellm.apis.responses.requests.tool_results import unpaired
from fakellm.apis.responses.stored.keeper import KEEPER
from fakellm.apis.responses.writing import answering, whole
from fakellm.apis.responses.writing.write import write
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


class ResponsesApi:
    """`POST /v1/responses`, in the dialect of a rule."""

    name = NAME
    paths: tuple[str, ...] = ("/responses",)
    operations: Mapping[str, Mapping[str, Operation]] = {}
    dialects: Collection[str] = tuple(DIALECTS)
    stream_keys: Collection[str] = STREAM_KEYS
    keeper = KEEPER
    restates = False

    def usual(self, dialect: str | None) -> Variation:
        return DIALECTS[dialect or "openai"].usual

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        return parse(body, headers)

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        return example(tools)

    def validate(self, request: Request, habits: Habits) -> None:
        """What depends on the provider or on the conversation; all else is checked when the request is parsed."""
        check_limit(request.max_tokens, habits.dialect.fewest_tokens)
        if habits.dialect.pairs_results and (refused := unpaired(request)):
            raise refused

    def allows_no_tokens(self, request: Request) -> bool:
        return False

    def settings(
        self, stream: Variation, dialect: str | None, request: Request, seed: int, streamed: bool
    ) -> Settings[Habits]:
        return settings(stream, DIALECTS[dialect or "openai"], *self.shared(request))

    def provider(self, habits: Habits) -> Provider:
        return habits

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        return completion

    def expressible(self, completion: Completion, habits: Habits, whole: bool = False) -> Completion:
        return meaning.expressible(completion, habits)

    def answer(
        self, completion: Completion, request: Request, habits: Habits, seed: int, values: Values
    ) -> Answer[Habits]:
        return answering.answer(completion, request, habits, seed, values)

    def grammar(self, habits: Habits) -> Grammar:
        return meaning.grammar(habits)

    def shared(self, request: Request) -> tuple[bool, bool, bool]:
        return request.wants_obfuscation, summarizes(request), bool(request.body.get("background"))

    def alike(self, habits: Habits) -> Likeness:
        return "all"

    def write(self, batches: Sequence[Batch], answer: Answer[Habits]) -> Iterator[tuple[Draft, ...]]:
        return write(batches, answer)

    def read(self, events: Iterable[Event], habits: Habits, choices: int = 1) -> Iterator[Batch]:
        return read(events)

    def whole(self, answer: Answer[Habits]) -> bytes:
        return whole.write_whole(answer)

    def read_whole(self, body: bytes, habits: Habits) -> Iterator[Batch]:
        return whole.read_whole(body, meaning.grammar(habits))

    def content_type(self, habits: Habits, stream: bool) -> str:
        return habits.dialect.stream_type if stream else habits.dialect.body_type

    def infer(self, events: Sequence[Event]) -> tuple[Habits, Values]:
        return infer(events)

    def infer_whole(self, body: bytes) -> tuple[Habits, Values]:
        return infer_whole(body)

    def block(self, habits: Habits) -> tuple[str | None, Variation]:
        return block(habits)

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        return refuse(error)

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        return usual(dialect, seed, requested, status)

    def quota_headers(self, standing: Standing) -> Sequence[tuple[str, str]]:
        return quotas(standing)

    def refuse(self, failure: Failure, habits: Habits) -> tuple[str, bytes]:
        kind = habits.dialect.errors.types.get(failure.status, habits.dialect.body_type)
        return kind, errors.body(failure, habits.dialect)

    def broken(
        self, failure: Failure, habits: Habits, shape: str | None, events: Sequence[Event], place: int
    ) -> tuple[Sequence[Event | str], bool]:
        return errors.in_stream(failure, habits, shape, events, place), False


RESPONSES = ResponsesApi()
