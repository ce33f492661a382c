"""Every dialect, as soon as it stands in the table: what it sends, to the byte, and that it comes back.

The expected bytes lie in `tests/golden/<dialect>/`. ``python -m tests.test_dialects`` writes them anew; read the
difference before you commit it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, Delta
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.habits import split
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.reader import read_body, read_stream
from fakellm.apis.chat.whole import write_body
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.model.blocks import Choice, Completion, Text, Usage
from fakellm.scenarios.loader import load
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from tests.chats import data_of_all
from tests.conftest import ROOT, chat, respond

GOLDEN = ROOT / "tests" / "golden"
ASKED = [{"role": "user", "content": "How warm is it?"}]
TURNS = {"tools": ASKED, "text": [*ASKED, {"role": "assistant", "content": ""}]}
CASES = [(name, turn, kind) for name in DIALECTS for turn in TURNS for kind in ("sse", "json")]


def plan(name: str, turn: str, kind: str) -> Plan:
    """What a dialect sends in a turn of the golden scenario, streamed or whole."""
    scenario = msgspec.structs.replace(load(GOLDEN / "scenario.yaml"), dialect=name)
    options = {"stream": True, "stream_options": {"include_usage": True}} if kind == "sse" else {}
    body = chat(messages=TURNS[turn], **options)
    return respond(App(scenario, strict=True), HttpRequest("POST", "/v1/chat/completions", body)).plan


def sent(name: str, turn: str, kind: str) -> bytes:
    return plan(name, turn, kind).body


def file_of(name: str, turn: str, kind: str) -> Path:
    return GOLDEN / name / f"{turn}.{kind}"


@pytest.mark.parametrize(("name", "turn", "kind"), CASES)
def test_a_dialect_sends_its_golden_bytes(name: str, turn: str, kind: str) -> None:
    assert sent(name, turn, kind).decode() == file_of(name, turn, kind).read_bytes().decode()


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("turn", TURNS)
def test_a_stream_and_a_whole_body_mean_the_same(name: str, turn: str) -> None:
    events = Decoder().feed(sent(name, turn, "sse"))
    streamed = read_stream(DIALECTS[name], [event.data for event in events if event.data != "[DONE]"])
    assert streamed == read_body(DIALECTS[name], sent(name, turn, "json"))


USAGE = Usage(5, 7)
OPENS = Chunk("c", 1, "m", (ChunkChoice(0, Delta("assistant", "A")), ChunkChoice(1, Delta("assistant", "B"))))
MORE = Chunk("c", 1, "m", (ChunkChoice(0, Delta(content=" c")),))
ENDS = Chunk("c", 1, "m", (ChunkChoice(0, finish_reason="stop"), ChunkChoice(1, finish_reason="stop")), USAGE)
IN_ORDER = [each.below(2**32) for each in [Source(1)] for _ in range(3)]


def decorated(dialect: Dialect, chunks: tuple[Chunk, ...], source: Source) -> list[str]:
    """The data of the events of these chunks, with what the provider adds."""
    return data_of_all(dialect.decorate(chunks), split(Variation(), dialect).habits, source)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_a_provider_adds_depends_on_no_other_draw(name: str) -> None:
    dialect, completion = DIALECTS[name], Completion((Choice((Text("A"),)), Choice((Text("B"),))), USAGE)
    found = []
    for before in range(3):
        source = Source(1)
        drawn = [source.below(2**32) for _ in range(before)]
        chunks = decorated(dialect, (OPENS, MORE, ENDS), source)
        body = write_body(dialect, completion, {"id": "c", "created": 1, "model": "m"}, source)
        found.append((chunks, body))
        drawn += [source.below(2**32) for _ in range(3 - before)]
        assert drawn == IN_ORDER
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", DIALECTS)
def test_another_chunk_changes_none_before_it(name: str) -> None:
    short, long = ((OPENS, MORE, ENDS), (OPENS, MORE, MORE, ENDS))
    assert decorated(DIALECTS[name], long, Source(1))[:2] == decorated(DIALECTS[name], short, Source(1))[:2]


def values_of(value: Any, key: str) -> Iterator[Any]:
    """The values of this key, however deep, that are not null."""
    if isinstance(value, dict):
        yield from (found for name, found in value.items() if name == key and found is not None)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from values_of(inner, key)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("azure", "latency_checkpoint"),
        ("cerebras", "time_info"),
        ("groq", "seed"),
        ("huggingface", "time_info"),
        ("llamacpp", "timings"),
        ("perplexity", "search_results"),
        ("together", "seed"),
        ("vercel", "provider_metadata"),
    ],
)
def test_a_stream_and_a_whole_body_have_the_same_draws(name: str, key: str) -> None:
    events = Decoder().feed(sent(name, "text", "sse"))
    streamed = [json.loads(event.data) for event in events if event.data != "[DONE]"]
    (whole,) = values_of(json.loads(sent(name, "text", "json")), key)
    repeated = list(values_of(streamed, key))
    assert repeated
    assert all(value == whole for value in repeated)


def test_the_times_of_chunks_grow() -> None:
    chunks = decorated(DIALECTS["huggingface-novita"], (MORE,) * 500, Source(1))
    times = [json.loads(chunk)["sla_metrics"]["ts_us"] for chunk in chunks]
    assert all(1 <= later - time < 9000 for time, later in pairwise(times))


@pytest.mark.parametrize("name", DIALECTS)
def test_the_whole_body_is_json_of_the_usual_shape(name: str) -> None:
    body = json.loads(sent(name, "text", "json"))
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert "It is 5 °C." in json.dumps(body["choices"][0]["message"]["content"], ensure_ascii=False)
    assert body["usage"]["prompt_tokens"] == 60


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.usage_unrequested == "finish"])
def test_unrequested_usage_is_only_with_the_finish(name: str) -> None:
    scenario = msgspec.structs.replace(load(GOLDEN / "scenario.yaml"), dialect=name)
    body = chat(messages=TURNS["text"], stream=True)
    sent = respond(App(scenario, strict=True), HttpRequest("POST", "/v1/chat/completions", body)).plan.body
    *frames, last = [json.loads(event.data) for event in Decoder().feed(sent) if event.data != "[DONE]"]
    assert last["usage"]["prompt_tokens"] == 60
    assert last["choices"][0]["finish_reason"] == "stop"
    assert not any("usage" in frame for frame in frames)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("openai", "json", "application/json"),
        ("llamacpp", "json", "application/json; charset=utf-8"),
        ("llamacpp", "sse", "text/event-stream"),
        ("together", "sse", "text/event-stream;charset=utf-8"),
    ],
)
def test_the_content_type_is_the_providers(name: str, kind: str, expected: str) -> None:
    assert dict(plan(name, "text", kind).headers)["Content-Type"] == expected


def test_a_count_is_sent_if_the_reply_has_it_even_if_the_dialect_usually_sends_none() -> None:
    assert list(json.loads(sent("ollama", "tools", "json"))["usage"]) == [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    ]
    assert "prompt_tokens_details" not in json.loads(sent("ollama", "text", "json"))["usage"]


def test_together_has_the_usage_key_in_each_chunk_without_a_request() -> None:
    scenario = Scenario(dialect="together", rules=(Rule(reply=Reply(content="Hm")),))
    body = respond(App(scenario), HttpRequest("POST", "/v1/chat/completions", chat(stream=True))).plan.body
    said, finish, _ = (event.data for event in Decoder().feed(body))
    assert json.loads(said)["usage"] is None
    assert json.loads(finish)["usage"]["completion_tokens"] == 1


if __name__ == "__main__":
    for case in CASES:
        file_of(*case).parent.mkdir(exist_ok=True)
        file_of(*case).write_bytes(sent(*case))
