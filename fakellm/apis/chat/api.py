"""Chat completions as an API: implements `fakellm.apis.protocol`. Owns the order of the steps, not their work.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat import meaning
from fakellm.apis.chat.assemble import assemble
from fakellm.apis.chat.chunk import Chunk, envelope
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_body import error_body, error_in_stream, error_type
from fakellm.apis.chat.functions import with_functions
from fakellm.apis.chat.habits import ChatHabits, block_of, split
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.read_batches import read_batches
from fakellm.apis.chat.reader import read_body, read_chunk
from fakellm.apis.chat.requests.accepts import refusal
from fakellm.apis.chat.requests.example import example
from fakellm.apis.chat.requests.parse import parse
from fakellm.apis.chat.whole import write_body
from fakellm.apis.chat.writer import with_obfuscation, write_chunk
from fakellm.apis.openai.error_body import refuse
from fakellm.apis.openai.response_headers import quotas, usual
from fakellm.apis.operation import Operation
from fakellm.apis.protocol import Answer, Failure, Provider, Settings, Values
from fakellm.apis.skeleton import Draft
from fakellm.apis.variation import OWN_BLOCKS, Variation
from fakellm.base.errors import RequestError, StreamError
from fakellm.base.seed import Source
from fakellm.base.short_texts import cached_if_short
from fakellm.model.blocks import Completion, ToolCall
from fakellm.model.deltas import Batch, End, Finish
from fakellm.model.request import Request
from fakellm.quotas.quota import Standing
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.shape import Likeness
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Event

DONE = "[DONE]"


class ChatApi:
    """`POST /v1/chat/completions`, in the dialect of a rule."""

    name = meaning.NAME
    operations: Mapping[str, Mapping[str, Operation]] = {}
    dialects: Collection[str] = tuple(DIALECTS)
    stream_keys: Collection[str] = frozenset(Variation.__struct_fields__) - OWN_BLOCKS
    keeper = None
    restates = False

    def usual(self, dialect: str | None) -> Variation:
        return DIALECTS[dialect or "openai"].usual

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        return parse(body, headers)

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        return example(tools, choices)

    def validate(self, request: Request, habits: ChatHabits) -> None:
        if refused := refusal(request, habits.dialect.accepts):
            raise refused

    def allows_no_tokens(self, request: Request) -> bool:
        return False

    def dialect(self, name: str | None, request: Request, seed: int) -> Dialect:
        """The dialect that a reply to this request is written in."""
        return DIALECTS[name or "openai"]

    def settings(
        self, stream: Variation, dialect: str | None, request: Request, seed: int, streamed: bool
    ) -> Settings[ChatHabits]:
        provider = self.dialect(dialect, request, seed)
        old = request.legacy_functions
        if old:
            provider = with_functions(provider)
        if streamed:
            stream = as_requested(stream, request, provider)
        return split(stream, provider, old)

    def provider(self, habits: ChatHabits) -> Provider:
        return habits.dialect

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        return completion

    def expressible(self, completion: Completion, habits: ChatHabits, whole: bool = False) -> Completion:
        return meaning.expressible(completion, habits.reasoning == "think", habits.one_call)

    def answer(
        self, completion: Completion, request: Request, habits: ChatHabits, seed: int, values: Values
    ) -> Answer[ChatHabits]:
        dialect = habits.dialect
        model = values.get("model") or request.model
        fingerprint = values.get("system_fingerprint")
        if "system_fingerprint" not in values:
            fingerprint = _fingerprint(dialect.fingerprint, seed, model)
        source = Source(seed, request.digest)
        drawn = {
            "id": values.get("id") or source.draw("id", dialect.completion_id),
            "created": values.get("created") or source.draw("created", dialect.created),
            "model": model,
            "system_fingerprint": fingerprint,
        }
        if not habits.one_call:
            completion = _with_ids(completion, dialect, source)
        if completion.usage is None:
            habits = replace(habits, usage_before="absent")
        return Answer(completion, habits, drawn, Source(seed, request.digest, "provider"))

    def grammar(self, habits: ChatHabits) -> Grammar:
        return meaning.GRAMMAR

    def shared(self, request: Request) -> Hashable:
        return request.wants_usage, request.wants_obfuscation, request.legacy_functions

    def alike(self, habits: ChatHabits) -> Likeness:
        return "none" if habits.spelling.each else habits.dialect.alike

    def write(self, batches: Sequence[Batch], answer: Answer[ChatHabits]) -> Iterator[tuple[Draft, ...]]:
        habits = answer.habits
        ends = [next((delta for delta in batch if isinstance(delta, End)), None) for batch in batches]
        sent = [
            tuple(delta for delta in batch if not isinstance(delta, End))
            for batch, end in zip(batches, ends, strict=True)
            if end is None or len(batch) > 1
        ]
        events = iter(self._events(sent, answer))
        for batch, end in zip(batches, ends, strict=True):
            chunk = (next(events),) if end is None or len(batch) > 1 else ()
            if end is None:
                yield chunk
            elif end.error is None:
                yield (*chunk, _done(habits)) if habits.done else chunk
            else:
                yield (*chunk, *self._error(end.error, habits))

    def _events(self, batches: Sequence[Batch], answer: Answer[ChatHabits]) -> list[Draft]:
        habits = answer.habits
        chunks = _decorated(assemble(batches, habits, answer.drawn), habits.dialect)
        if habits.obfuscation:
            chunks = list(map(with_obfuscation, chunks))
        return [Draft(write_chunk(chunk, habits, number), habits.spelling) for number, chunk in enumerate(chunks)]

    def _error(self, error: Any, habits: ChatHabits) -> Iterator[Draft]:
        failure = error if isinstance(error, Failure) else Failure(500, str(error))
        events, done = self.broken(failure, habits, None, (), 0)
        for event in events:
            if isinstance(event, Event):
                yield Draft(event.data, event=event.event)
        if done and habits.done:
            yield _done(habits)

    def read(self, events: Iterable[Event], habits: ChatHabits, choices: int = 1) -> Iterator[Batch]:
        finished: set[int] = set()
        ended = False
        for batch in _batches(events, habits.dialect):
            finished |= {delta.choice for delta in batch if isinstance(delta, Finish)}
            ended = ended or any(isinstance(delta, End) for delta in batch)
            yield batch
        if not ended and len(finished) >= choices:
            yield (End(),)

    def whole(self, answer: Answer[ChatHabits]) -> bytes:
        habits = answer.habits
        return write_body(
            habits.dialect,
            answer.completion,
            answer.drawn,
            answer.source,
            habits.margins,
            habits.own_spelling,
            habits.own_reasoning,
        )

    def read_whole(self, body: bytes, habits: ChatHabits) -> Iterator[Batch]:
        completion, _ = read_body(habits.dialect, body)
        yield from divide(completion, Division(), meaning.GRAMMAR, Source(0))

    def content_type(self, habits: ChatHabits, stream: bool) -> str:
        return habits.dialect.stream_type if stream else habits.dialect.body_type

    def infer(self, events: Sequence[Event]) -> tuple[ChatHabits, Values]:
        """The habits of OpenAI: only its URL or a habit search shows which provider sent a stream."""
        dialect = DIALECTS["openai"]
        chunks = [read_chunk(dialect, event.data) for event in events if event.data != DONE]
        return split(Variation(), dialect).habits, envelope(chunks)

    def infer_whole(self, body: bytes) -> tuple[ChatHabits, Values]:
        dialect = DIALECTS["openai"]
        return split(Variation(), dialect).habits, read_body(dialect, body)[1]

    def block(self, habits: ChatHabits) -> tuple[str | None, Variation]:
        return block_of(habits)

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        return refuse(error)

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        return usual(seed, requested, status)

    def quota_headers(self, standing: Standing) -> Sequence[tuple[str, str]]:
        return quotas(standing)

    def refuse(self, failure: Failure, habits: ChatHabits) -> tuple[str, bytes]:
        return error_type(habits.dialect, failure.status), error_body(habits.dialect, failure)

    def broken(
        self, failure: Failure, habits: ChatHabits, shape: str | None, events: Sequence[Event], place: int
    ) -> tuple[Sequence[Event | str], bool]:
        return (error_in_stream(habits.dialect, failure, shape, events),), habits.dialect.errors.done


CHAT = ChatApi()


def _done(habits: ChatHabits) -> Draft:
    return Draft(habits.done if isinstance(habits.done, str) else DONE)


@cached_if_short(16)
def _fingerprint(draw: Callable[[Source], str | None], seed: int, model: str) -> str | None:
    """The `system_fingerprint` of a model, which all its replies share."""
    return draw(Source(seed, model, "system_fingerprint"))


def as_requested(variation: Variation, request: Request, dialect: Dialect) -> Variation:
    """The variation; obfuscation and usage that it does not set are as the request sets them.

    Unrequested usage with the finish has no separate chunk, and no other chunk has the key.
    """
    if variation.obfuscation is None and request.wants_obfuscation and dialect.obfuscates:
        variation = replace(variation, obfuscation=True)
    if variation.usage is not None or request.wants_usage or dialect.usage_unrequested == "usual":
        return variation
    if dialect.usage_unrequested == "finish":
        return replace(variation, usage="finish", usage_before=variation.usage_before or "absent")
    return replace(variation, usage="none")


def _with_ids(completion: Completion, dialect: Dialect, source: Source) -> Completion:
    """The completion with an id for every call. A drawn id depends only on the number of the call."""
    blocks_of_all = (block for choice in completion.choices for block in choice.blocks)
    if not any(isinstance(block, ToolCall) and block.id is None for block in blocks_of_all):
        return completion
    choices = []
    for index, choice in enumerate(completion.choices):
        number, blocks = 0, []
        for block in choice.blocks:
            if isinstance(block, ToolCall):
                if block.id is None:
                    block = replace(block, id=source.draw(("call", index, number), dialect.call_id))
                number += 1
            blocks.append(block)
        choices.append(replace(choice, blocks=tuple(blocks)))
    return replace(completion, choices=tuple(choices))


def _decorated(chunks: list[Chunk], dialect: Dialect) -> list[Chunk]:
    """The chunks with what the provider adds to each, except those that are sent as they are."""
    plain = tuple(chunk for chunk in chunks if not chunk.bare)
    changed = iter(dialect.decorate(plain) if plain else ())
    return [chunk if chunk.bare else next(changed) for chunk in chunks]


def _batches(events: Iterable[Event], dialect: Dialect) -> Iterator[Batch]:
    """The batches of the events. The chunks are read together, since a piece depends on those before it."""
    ends: list[Any] = []

    def chunks() -> Iterator[Chunk]:
        for event in events:
            if event.data.strip(" ") == DONE and event.event == "message":
                ends.append(End())
                return
            error = _error_in(event)
            if error is not None:
                ends.append(End(error))
                if event.event == "message" and '"choices"' in event.data:  # OpenRouter's error is also a chunk
                    yield from _readable(event.data, dialect)
                return
            if event.event == "message" and event.data:
                try:
                    chunk = read_chunk(dialect, event.data)
                except StreamError as problem:
                    ends.append(End(str(problem)))
                    return
                yield chunk

    yield from read_batches(chunks())
    for end in ends:
        yield (end,)


def _readable(data: str, dialect: Dialect) -> Iterator[Chunk]:
    """The chunk in the data of an event, if there is one."""
    try:
        chunk = read_chunk(dialect, data)
    except StreamError:
        return
    if chunk.choices:
        yield chunk


def _error_in(event: Event) -> Any:
    """The error that an event carries, if any: in an event of the type `error`, under the key `error`, or, from vLLM
    (2024) and Mistral, in an object that has no choices and states a problem."""
    if event.event not in ("message", "error"):
        return None
    try:
        value = json.loads(event.data)
    except (ValueError, RecursionError):
        return event.data if event.event == "error" else None
    if event.event == "error":
        return value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(value, dict):
        return None
    stated = "choices" not in value and (value.get("object") == "error" or "message" in value or "detail" in value)
    return value.get("error") or (value if stated else None)
