"""Ollama's own API: implements `fakellm.apis.protocol`. Owns the order of the steps, not their work.

Both routes stream unless the request sets `stream: false`. https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fakellm.apis.ollama import meaning
from fakellm.apis.ollama.dialects import DIALECTS
from fakellm.apis.ollama.draws import drawn_values, with_durations, with_ids
from fakellm.apis.ollama.errors import JSON_TYPE, error_value, refusal
from fakellm.apis.ollama.habits import STREAM_KEYS, OllamaHabits, block, split
from fakellm.apis.ollama.infer import Spelled, infer_body, infer_lines
from fakellm.apis.ollama.operations import OPERATIONS
from fakellm.apis.ollama.read import read_body, read_lines
from fakellm.apis.ollama.requests.parse import loads, parse, route_of
from fakellm.apis.ollama.write import write_body, write_lines
from fakellm.apis.operation import Operation
from fakellm.apis.protocol import Answer, Failure, Provider, Settings, Values
from fakellm.apis.skeleton import Draft
from fakellm.apis.variation import Variation
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.model.blocks import Choice, Completion, Stop
from fakellm.model.deltas import Batch
from fakellm.model.request import Request
from fakellm.quotas.quota import Standing
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.shape import Likeness
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Event


class OllamaApi:
    """`POST /api/chat` and `POST /api/generate`, in the dialect of a rule."""

    name = meaning.NAME
    operations: Mapping[str, Mapping[str, Operation]] = OPERATIONS
    dialects: Collection[str] = tuple(DIALECTS)
    stream_keys: Collection[str] = STREAM_KEYS
    keeper = None
    restates = False

    def usual(self, dialect: str | None) -> Variation:
        return DIALECTS[dialect or "ollama"].usual

    def parse(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        return parse(body, headers, url)

    def example(self, tools: Sequence[str] = (), choices: int = 1) -> dict[str, Any]:
        functions = [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in tools
        ]
        body = {"model": "fakellm", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
        return {**body, **({"tools": functions} if functions else {})}

    def validate(self, request: Request, habits: OllamaHabits) -> None:
        """Everything that Ollama refuses is refused when the request is parsed."""

    def allows_no_tokens(self, request: Request) -> bool:
        return loads(request) is not None

    def settings(
        self, stream: Variation, dialect: str | None, request: Request, seed: int, streamed: bool
    ) -> Settings[OllamaHabits]:
        return split(
            stream, dialect, route_of(request), route_of(request) == "generate" and not request.body.get("raw")
        )

    def provider(self, habits: OllamaHabits) -> Provider:
        return habits.dialect

    def restate(self, completion: Completion, request: Request, counted: bool) -> Completion:
        return completion

    def expressible(self, completion: Completion, habits: OllamaHabits, whole: bool = False) -> Completion:
        return meaning.expressible(completion, habits.ids)

    def answer(
        self, completion: Completion, request: Request, habits: OllamaHabits, seed: int, values: Values
    ) -> Answer[OllamaHabits]:
        source = Source(seed, request.digest)
        drawn = drawn_values(request.model, values, source)
        if reason := loads(request):
            completion = Completion((Choice((), Stop(reason)),))
        completion = with_ids(completion, habits, source)
        if completion.usage is not None:
            usage = with_durations(completion.usage, drawn["step"], habits, source)
            completion = Completion(completion.choices, usage)
        return Answer(completion, habits, drawn, Source(seed, request.digest, "provider"))

    def grammar(self, habits: OllamaHabits) -> Grammar:
        return meaning.GRAMMAR

    def shared(self, request: Request) -> Hashable:
        return route_of(request), bool(request.body.get("raw")), loads(request)

    def alike(self, habits: OllamaHabits) -> Likeness:
        return "none" if habits.spelling.each else "all"

    def write(self, batches: Sequence[Batch], answer: Answer[OllamaHabits]) -> Iterator[tuple[Draft, ...]]:
        return write_lines(batches, answer)

    def read(self, events: Iterable[Event], habits: OllamaHabits, choices: int = 1) -> Iterator[Batch]:
        return read_lines(events)

    def whole(self, answer: Answer[OllamaHabits]) -> bytes:
        return write_body(answer)

    def read_whole(self, body: bytes, habits: OllamaHabits) -> Iterator[Batch]:
        return read_body(body)

    def content_type(self, habits: OllamaHabits, stream: bool) -> str:
        return "application/x-ndjson" if stream else JSON_TYPE

    def infer(self, events: Sequence[Event]) -> tuple[OllamaHabits, Values]:
        return _habits(infer_lines(events))

    def infer_whole(self, body: bytes) -> tuple[OllamaHabits, Values]:
        return _habits(infer_body(body))

    def block(self, habits: OllamaHabits) -> tuple[str | None, Variation]:
        return habits.dialect.name, block(habits)

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        return refusal(error)

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        """Any page may read a reply. Ollama itself allows pages of this machine alone, and adds no other header."""
        return (("access-control-allow-origin", "*"),)

    def quota_headers(self, standing: Standing) -> Sequence[tuple[str, str]]:
        return ()

    def refuse(self, failure: Failure, habits: OllamaHabits) -> tuple[str, bytes]:
        return JSON_TYPE, dumps(error_value(failure)).encode()

    def broken(
        self, failure: Failure, habits: OllamaHabits, shape: str | None, events: Sequence[Event], place: int
    ) -> tuple[Sequence[Event | str], bool]:
        return (Event(dumps(error_value(failure))),), False


OLLAMA = OllamaApi()


def _habits(found: Spelled) -> tuple[OllamaHabits, Values]:
    return split(found.variation, found.dialect, found.route).habits, found.values
