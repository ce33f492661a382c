"""An API unlike chat: ordered blocks that never overlap, typed events, bare closes, usage in the closing event.

It exists to show that the core, the engine, faults, recordings and the fuzzer depend on the protocol alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.events import events_of
from fakellm.apis.protocol import Answer, Failure, Provider, Settings, Values
from fakellm.apis.skeleton import Draft, Fill
from fakellm.apis.variation import PLAIN, Variation, division_of
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.errors import RequestError
from fakellm.base.seed import Source
from fakellm.base.template import Hole
from fakellm.model.blocks import Block, Choice, Completion, Opaque, Refusal, Stop, Text, Thinking, ToolCall, Usage
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Open, Piece, Silence, Start
from fakellm.model.fold import fold
from fakellm.model.request import Message, Request
from fakellm.quotas.quota import Standing
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.grammar import Field, Grammar, Joins
from fakellm.streaming.shape import Likeness
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.sse import Event

FIELDS = {Thinking: ("parts.0", "signature"), Text: ("text",), Refusal: ("text",), ToolCall: ("arguments",), Opaque: ()}
TYPES: dict[str, Any] = {"thinking": Thinking, "text": Text, "refusal": Refusal, "call": ToolCall}
COUNTS = ("input", "output", "cached", "cache_write", "reasoning")
KNOWN = ("start", "block_start", "delta", "block_stop", "close", "error")


class Habits(Struct, frozen=True):
    """`ping`: the name of the event that shows a silence."""

    ping: str = "ping"


def fields(block: Block) -> tuple[Field, ...]:
    return tuple(Field(at, "whole" if at == "signature" else "any") for at in FIELDS[type(block)])


class Toy:
    """The API. Its replies have an id, which is drawn."""

    name = "toy"
    keeper = None
    restates = False
    operations: Mapping[str, Any] = {}
    dialects: tuple[str, ...] = ()
    stream_keys = ("padding", "split", "turns", "interleave", "usage", "finish", "sse", "transfer", "score")

    def usual(self, dialect: str | None) -> Variation:
        return Variation()

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        value = json.loads(body)
        messages = (Message("user", value["say"]),)
        return Request(
            model="toy-1",
            api=self.name,
            messages=messages,
            stream=bool(value.get("stream")),
            body=value,
            headers=headers,
        )

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        return {"say": "Hello", "stream": True}

    def validate(self, request: Request, habits: Habits) -> None: ...

    def allows_no_tokens(self, request: Request) -> bool:
        return False

    def settings(
        self, stream: Variation, dialect: str | None, request: Request, seed: int, streamed: bool
    ) -> Settings[Habits]:
        division = division_of(stream.over(PLAIN))
        return Settings(division, Habits(), stream.sse or Framing(), stream.transfer or Transfer(), stream.score)

    def provider(self, habits: Habits) -> Provider:
        return DIALECTS["openai"]

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        return completion

    def content_type(self, habits: Habits, stream: bool) -> str:
        return "text/event-stream" if stream else "application/json"

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        return Plan(error.status, (), (Frame(json.dumps({"oops": error.message}).encode()),))

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> tuple[tuple[str, str], ...]:
        return (("x-toy", requested),)

    def quota_headers(self, standing: Standing) -> Sequence[tuple[str, str]]:
        return tuple(("x-toy-left", str(each.remaining)) for each in standing.left)

    def refuse(self, failure: Failure, habits: Habits) -> tuple[str, bytes]:
        return "application/json", json.dumps({"oops": failure.status}).encode()

    def broken(
        self, failure: Failure, habits: Habits, shape: str | None, events: Sequence[Event], place: int
    ) -> tuple[Sequence[Event | str], bool]:
        return (Event(json.dumps({"message": failure.message or str(failure.status)}), "error"),), False

    def grammar(self, habits: Habits) -> Grammar:
        return Grammar(fields, choices=1, silent_first=False, closes="bare", joins=Joins(usage="must", end="must"))

    def expressible(self, completion: Completion, habits: Habits, whole: bool = False) -> Completion:
        usage = completion.usage and replace(completion.usage, own={})
        return Completion(tuple(map(_expressible_choice, completion.choices[:1])), usage)

    def answer(
        self, completion: Completion, request: Request, habits: Habits, seed: int, values: Values
    ) -> Answer[Habits]:
        drawn = {"id": f"toy-{Source(seed, request.digest, 'id').below(1000)}"} | dict(values)
        choices = tuple(replace(each, blocks=tuple(map(_with_id, each.blocks))) for each in completion.choices)
        return Answer(replace(completion, choices=choices), habits, drawn, Source(seed, request.digest, "provider"))

    def shared(self, request: Request) -> str:
        return "toy"

    def alike(self, habits: Habits) -> Likeness:
        return "all"

    def write(self, batches: Sequence[Batch], answer: Answer[Habits]) -> Iterator[tuple[Draft, ...]]:
        closing: dict[str, Any] = {"stop": None, "usage": None}
        for batch in batches:
            for delta in batch:
                if isinstance(delta, Finish):
                    closing["stop"] = delta.stop.reason
                elif isinstance(delta, Count):
                    closing["usage"] = Hole("usage", counts, "event")
            yield tuple(draft for delta in batch for draft in self._drafts(delta, closing, answer))

    def _drafts(self, delta: Delta, closing: dict[str, Any], answer: Answer[Habits]) -> Iterator[Draft]:
        match delta:
            case Start():
                yield _event("start", {"id": answer.drawn["id"]})
            case Open(_, number, value):
                kind = next((name for name, type_ in TYPES.items() if type(value) is type_), "opaque")
                more = {"id": value.id, "name": value.name} if isinstance(value, ToolCall) else {}
                yield _event("block_start", {"n": number, "type": kind, **more})
            case Piece(_, number, at, value, _):
                yield _event("delta", {"n": number, "to": at, "add": value})
            case Close(_, number, _):
                yield _event("block_stop", {"n": number})
            case Silence():
                yield _event(answer.habits.ping, {})
            case End(None):
                yield _event("close", closing)
            case End(error):
                yield _event("error", {"message": error if isinstance(error, str) else str(error)})

    def read(self, events: Iterable[Event], habits: Habits, choices: int = 1) -> Iterator[Batch]:
        for event in events:
            if event.event not in KNOWN:
                yield (Silence(),)
                continue
            try:
                data = json.loads(event.data)
            except ValueError as error:
                yield (End(str(error)),)
                return
            match event.event:
                case "start":
                    yield (Start(0),)
                case "block_start" if data["type"] == "call":
                    yield (Open(0, data["n"], ToolCall(data["id"], data["name"], "")),)
                case "block_start" if data["type"] in TYPES:
                    yield (Open(0, data["n"], TYPES[data["type"]]()),)
                case "delta":
                    yield (Piece(0, data["n"], data["to"], data["add"]),)
                case "block_stop":
                    yield (Close(0, data["n"]),)
                case "close":
                    finish = (Finish(0, Stop(data["stop"])),) if data["stop"] else ()
                    count = (Count(Usage(*data["usage"])),) if data["usage"] else ()
                    yield (*finish, *count, End())
                case "error":
                    yield (End(data["message"]),)

    def whole(self, answer: Answer[Habits]) -> bytes:
        batches = divide(answer.completion, Division(), self.grammar(answer.habits), Source(0))
        events = [(event.event, event.data) for events in events_of(self, batches, answer) for event in events]
        return json.dumps(events).encode()

    def read_whole(self, body: bytes, habits: Habits) -> Iterator[Batch]:
        yield from self.read([Event(data, name) for name, data in json.loads(body)], habits)

    def infer(self, events: Sequence[Event]) -> tuple[Habits, Values]:
        ids = [json.loads(event.data)["id"] for event in events if event.event == "start"]
        pings = [event.event for event in events if event.event and event.event not in (*KNOWN, "message")]
        return Habits(*pings[:1]), dict(zip(["id"], ids, strict=False))

    def block(self, habits: Habits) -> tuple[str | None, Variation]:
        return None, Variation()

    def infer_whole(self, body: bytes) -> tuple[Habits, Values]:
        return self.infer([Event(data, name) for name, data in json.loads(body)])


def _with_id(block: Block) -> Block:
    return replace(block, id="call-1") if isinstance(block, ToolCall) and block.id is None else block


def counts(fill: Fill) -> list[int]:
    """The token counts of an event, as the toy sends them."""
    return [getattr(fill.counts or fill.usage, name) for name in COUNTS]


def _event(name: str, data: Any) -> Draft:
    return Draft(data, Spelling(spaces=True), name)


def _expressible_choice(choice: Choice) -> Choice:
    blocks = tuple(_expressible(block) for block in choice.blocks if not isinstance(block, Opaque))
    return Choice(blocks, choice.finish and Stop(choice.finish.reason))


def _expressible(block: Block) -> Block:
    match block:
        case Thinking(parts, _, signature, _):
            return Thinking(tuple(filter(None, ["".join(parts)])), (), signature)
        case ToolCall(id_, name, arguments, _, _):
            return ToolCall(id_, name, arguments)
        case Text(text) | Refusal(text):
            return type(block)(text)
    return block


def meaning(batches: Iterable[Batch]) -> Completion:
    """What the batches mean."""
    return fold(batches)[0]


TOY = Toy()
