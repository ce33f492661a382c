"""The Gemini API: implements `fakellm.apis.protocol`. Owns the order of the steps, not their work.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.gemini import ids, meaning
from fakellm.apis.gemini.errors import body_of, error_value, refused
from fakellm.apis.gemini.frames import read as reading
from fakellm.apis.gemini.frames import whole as bodies
from fakellm.apis.gemini.frames import write as writing
from fakellm.apis.gemini.frames.infer import frames_in, infer, infer_body, stream_of
from fakellm.apis.gemini.frames.usage import total
from fakellm.apis.gemini.habits import AI_STUDIO, DIALECTS, STREAM_KEYS, GeminiDialect, GeminiHabits, habits_of
from fakellm.apis.gemini.headers import usual
from fakellm.apis.gemini.operations import OPERATIONS
from fakellm.apis.gemini.requests.example import example
from fakellm.apis.gemini.requests.parse import GeminiCall, parse
from fakellm.apis.gemini.urls import Mode, mode
from fakellm.apis.gemini.words import NAME
from fakellm.apis.operation import Operation
from fakellm.apis.protocol import Answer, Failure, Provider, Settings, Values
from fakellm.apis.skeleton import Draft
from fakellm.apis.variation import PLAIN, Variation, division_of
from fakellm.base.errors import RequestError
from fakellm.base.json_text import spelled
from fakellm.base.seed import ALNUM, Source
from fakellm.model.blocks import Completion, Own, ToolCall, Usage
from fakellm.model.deltas import Batch
from fakellm.model.request import Request
from fakellm.quotas.quota import Standing
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.shape import Likeness
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.json_array import items
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.sse import Event


class GeminiProvider(Struct, frozen=True):
    """What Google does where a reply does not set it. `hides_reasoning`: unless the request includes thoughts."""

    hides_reasoning: bool = True
    finishes: bool = True
    named_call_finish: str = "tool_calls"
    output_excludes_reasoning: bool = True

    @property
    def call_id(self) -> Callable[[Source], str]:
        """No id; see `GeminiHabits.call_ids`."""
        return lambda source: ""

    def stopped(self, sequence: str) -> Own:
        """Nothing: this API does not tell a stop sequence from an end."""
        return {}

    def total(self, usage: Usage) -> int:
        """The sum of the tokens."""
        return total(usage)


class GeminiApi:
    """`:generateContent` and `:streamGenerateContent`, in the dialect of a rule or, if it sets none, of the URL."""

    name = NAME
    operations: Mapping[str, Mapping[str, Operation]] = OPERATIONS
    dialects: Collection[str] = tuple(DIALECTS)
    stream_keys: Collection[str] = STREAM_KEYS
    keeper = None
    restates = False

    def usual(self, dialect: str | None) -> Variation:
        return _dialect(dialect, Mode()).usual

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        return parse(body, headers, url)

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        return example(tools, choices)

    def validate(self, request: Request, habits: GeminiHabits) -> None: ...

    def allows_no_tokens(self, request: Request) -> bool:
        return False

    def settings(
        self, stream: Variation, dialect: str | None, request: Request, seed: int, streamed: bool
    ) -> Settings[GeminiHabits]:
        call = _call(request)
        found = _dialect(dialect, call.mode)
        full = stream.over(found.usual).over(PLAIN)
        enums = "numbers" if call.mode.numbers else "names"
        habits = habits_of(full, found, enums=enums, stream_args=call.stream_args)
        framing = replace(full.sse or Framing(), after=())  # no event ends a stream that others could follow
        habits = replace(habits, array=call.mode.array, thoughts=call.thoughts)
        if call.mode.array:
            framing = items(framing)
        return Settings(division_of(full), habits, framing, full.transfer or Transfer(), full.score)

    def provider(self, habits: GeminiHabits) -> Provider:
        return GeminiProvider(not habits.thoughts)

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        return completion

    def expressible(self, completion: Completion, habits: GeminiHabits, whole: bool = False) -> Completion:
        return meaning.expressible(completion, habits, whole)

    def answer(
        self, completion: Completion, request: Request, habits: GeminiHabits, seed: int, values: Values
    ) -> Answer[GeminiHabits]:
        source = Source(seed, request.digest)
        created = values.get("created") or source.draw("created", ids.drawn_time)
        drawn = {
            "id": values.get("id") or source.draw("id", lambda each: ids.response_id(created, each)),
            "created": created,
            "model": values.get("model") or request.model,
        }
        if habits.call_ids:
            completion = _with_ids(completion, source)
        return Answer(completion, habits, drawn, Source(seed, request.digest, "provider"))

    def grammar(self, habits: GeminiHabits) -> Grammar:
        return meaning.grammar(habits.signature)

    def shared(self, request: Request) -> Hashable:
        call = _call(request)
        return call.mode.vertex, call.mode.array, call.mode.numbers, call.thoughts, call.stream_args

    def alike(self, habits: GeminiHabits) -> Likeness:
        return "none" if habits.stream_args else "all"

    def write(self, batches: Sequence[Batch], answer: Answer[GeminiHabits]) -> Iterator[tuple[Draft, ...]]:
        return writing.write(batches, answer)

    def read(self, events: Iterable[Event], habits: GeminiHabits, choices: int = 1) -> Iterator[Batch]:
        return reading.read(events, habits, choices)

    def whole(self, answer: Answer[GeminiHabits]) -> bytes:
        return bodies.whole(answer)

    def read_whole(self, body: bytes, habits: GeminiHabits) -> Iterator[Batch]:
        return bodies.read_whole(body, habits)

    def content_type(self, habits: GeminiHabits, stream: bool) -> str:
        return habits.dialect.frames_type if stream and not habits.array else habits.dialect.body_type

    def infer(self, events: Sequence[Event]) -> tuple[GeminiHabits, Values]:
        return infer(*frames_in(event.data for event in events))

    def infer_whole(self, body: bytes) -> tuple[GeminiHabits, Values]:
        return infer_body(body)

    def block(self, habits: GeminiHabits) -> tuple[str | None, Variation]:
        return habits.dialect.name, stream_of(habits)

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        headers = (("Content-Type", AI_STUDIO.body_type), *error.headers.items())
        found = mode(url)
        value = refused(error, found.vertex)
        return Plan(error.status, headers, (Frame(body_of([value] if found.array else value)),))

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        return usual(seed, requested, status)

    def quota_headers(self, standing: Standing) -> Sequence[tuple[str, str]]:
        """None: Google states in the body of a refusal when to try again."""
        return ()

    def refuse(self, failure: Failure, habits: GeminiHabits) -> tuple[str, bytes]:
        value = error_value(failure, habits.dialect.name)
        return habits.dialect.body_type, body_of([value] if habits.array else value)

    def broken(
        self, failure: Failure, habits: GeminiHabits, shape: str | None, events: Sequence[Event], place: int
    ) -> tuple[Sequence[Event | str], bool]:
        value = error_value(failure, habits.dialect.name)
        if shape in ("data", "chunk", "event", "message", "text") or habits.array:
            return (Event(spelled(value, habits.spelling)),), False
        return (body_of(value).decode().rstrip("\n"),), False


def _call(request: Request) -> GeminiCall:
    return request.chat if isinstance(request.chat, GeminiCall) else GeminiCall(Mode(), {})


def _dialect(name: str | None, mode: Mode) -> GeminiDialect:
    return DIALECTS[name or ("vertex" if mode.vertex else "ai-studio")]


def _with_ids(completion: Completion, source: Source) -> Completion:
    """The completion with an id for every call. A drawn id depends only on the number of the call."""
    choices = []
    for index, choice in enumerate(completion.choices):
        number, blocks = 0, []
        for block in choice.blocks:
            if isinstance(block, ToolCall):
                drawn = block.id or source.draw(("call", index, number), lambda each: each.text(ALNUM, 8))
                block, number = replace(block, id=drawn), number + 1
            blocks.append(block)
        choices.append(replace(choice, blocks=tuple(blocks)))
    return replace(completion, choices=tuple(choices))


GEMINI = GeminiApi()
