"""The official SDK reads what the server sends: streamed or not, sync and async, every dialect, drawn replies too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict

import fakellm
from fakellm.apis.ollama.dialects import DIALECTS
from fakellm.fuzzing.strategies import answers, variations
from fakellm.model.blocks import Completion
from fakellm.scenarios.loader import load
from fakellm.scenarios.reply import reply_of
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.testing.handle import Handle
from tests.conftest import post

REPLY = {
    "reasoning": "Let me <think>.",
    "content": "It is 5 °C \u2028 & rising.",
    "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo", "days": [1, 2]}}, {"name": "now"}],
}
USER = [{"role": "user", "content": "How warm is it?"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(load({"rules": [{"reply": REPLY}]})) as handle:
        yield handle


@pytest.fixture(scope="module")
def client(server: Handle) -> Iterator[ollama.Client]:
    with ollama.Client(host=server.url) as opened:
        yield opened


def parts(messages: list[ollama.Message]) -> tuple[str, str, list[tuple[str, Any]]]:
    """The thinking, the content and the calls of these messages together."""
    calls = [call for message in messages for call in message.tool_calls or ()]
    return (
        "".join(message.thinking or "" for message in messages),
        "".join(message.content or "" for message in messages),
        [(call.function.name, dict(call.function.arguments)) for call in calls],
    )


EXPECTED = (
    "Let me <think>.",
    "It is 5 °C \u2028 & rising.",
    [("get_weather", {"city": "Oslo", "days": [1, 2]}), ("now", {})],
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_chat(server: Handle, client: ollama.Client, dialect: str) -> None:
    server.load(load({"rules": [{"reply": REPLY, "dialect": dialect}]}))
    found = list(client.chat("m", USER, stream=True))
    assert parts([each.message for each in found]) == EXPECTED
    assert [each.done for each in found] == [False] * (len(found) - 1) + [True]
    last, whole = found[-1], client.chat("m", USER)
    assert parts([whole.message]) == EXPECTED
    assert last.done_reason == whole.done_reason == "stop"
    assert (last.total_duration, last.eval_count) == (whole.total_duration, whole.eval_count)
    assert (last.total_duration or 0) > (last.load_duration or 0) > 0


def test_a_text(server: Handle, client: ollama.Client) -> None:
    server.load(load({"rules": [{"reply": {"reasoning": "Hm", "content": "It is 5 °C."}}]}))
    found = list(client.generate("m", "How warm is it?", stream=True))
    assert "".join(each.response or "" for each in found) == "It is 5 °C."
    whole = client.generate("m", "How warm is it?")
    assert (whole.response, whole.thinking, whole.done_reason) == ("It is 5 °C.", "Hm", "stop")
    assert whole.context == found[-1].context != None  # noqa: E711 # both are lists
    assert client.generate("m", "How warm is it?", raw=True).context is None


def test_an_async_chat(server: Handle) -> None:
    async def chat() -> list[ollama.Message]:
        async with ollama.AsyncClient(host=server.url) as opened:
            return [each.message async for each in await opened.chat("m", USER, stream=True)]

    server.load(load({"rules": [{"reply": REPLY}]}))
    assert parts(asyncio.run(chat())) == EXPECTED


def test_a_model_is_loaded_and_unloaded(server: Handle, client: ollama.Client) -> None:
    assert client.generate("m", "").done_reason == "load"
    assert client.generate("m", "", keep_alive=0).done_reason == "unload"
    assert client.chat("m", []).done_reason == "load"


def test_models_and_vectors(server: Handle, client: ollama.Client) -> None:
    server.load(load({"rules": [{"when": {"model": "llama3.2"}, "reply": {"content": "Hi"}}]}))
    assert [model.model for model in client.list().models] == ["llama3.2"]
    assert [model.model for model in client.ps().models] == ["llama3.2"]
    assert client.show("llama3.2").details.format == "gguf"  # type: ignore[union-attr] # it has details
    found = client.embed("llama3.2", ["a", "b"])
    assert [len(each) for each in found.embeddings] == [768, 768]
    assert found.embeddings[0] == client.embed("llama3.2", "a").embeddings[0]
    assert len(client.embeddings("llama3.2", "a").embedding) == 768


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model(server: Handle, client: ollama.Client, stream: bool) -> None:
    server.load(load({"rules": [{"reply": {"content": "Hi"}, "fault": {"kind": "status", "status": 404}}]}))
    with pytest.raises(ollama.ResponseError, match="not found") as caught:
        list(client.chat("m", USER, stream=stream))  # type: ignore[call-overload] # either
    assert caught.value.status_code == 404


def test_an_error_in_the_stream(server: Handle, client: ollama.Client) -> None:
    fault = {"kind": "error", "frame": 2, "message": "the model has crashed"}
    server.load(load({"rules": [{"reply": REPLY, "fault": fault}]}))
    with pytest.raises(ollama.ResponseError, match="the model has crashed"):
        list(client.chat("m", USER, stream=True))


def test_a_model_cannot_be_downloaded(server: Handle, client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="fakellm does not download models"):
        client.pull("m")


def test_generated_replies_follow_the_request() -> None:
    with fakellm.serve() as free, ollama.Client(host=free.url) as opened:
        schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
        assert set(json.loads(opened.chat("m", USER, format=schema).message.content or "")) == {"age"}
        short = opened.chat("m", USER, options={"num_predict": 3})
        assert (short.done_reason, short.eval_count) == ("length", 3)
        assert opened.chat("m", USER, think="high").message.thinking
        tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
        assert opened.chat("m", USER, tools=tools).message.tool_calls


@pytest.mark.parametrize("stream", [{}, {"sse": {"insert": [{"before": [1]}]}}])
def test_lines_that_the_sdk_does_not_read(server: Handle, client: ollama.Client, stream: dict[str, Any]) -> None:
    """It splits lines at U+0085, which Ollama sends as it is, and takes a blank line for JSON."""
    content = "a\x85b" if not stream else "ab"
    server.load(load({"rules": [{"reply": {"content": content}, "stream": stream}]}))
    with pytest.raises(json.JSONDecodeError):
        list(client.chat("m", USER, stream=True))


class _Strict(ollama.ChatResponse):
    """The SDK's own model of a line, which allows no other key."""

    model_config = ConfigDict(extra="forbid")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), answers(), st.sampled_from(sorted(DIALECTS)))
def test_the_sdk_reads_every_drawn_reply(
    server: Handle, client: ollama.Client, data: st.DataObject, completion: Completion, dialect: str
) -> None:
    texts = [completion.choices[0].content, completion.choices[0].reasoning, completion.choices[0].refusal]
    assume("\x85" not in "".join([*texts, *(call.arguments for call in completion.choices[0].tool_calls)]))
    stream = data.draw(variations(completion, "standard", exclude=("transfer", "spelling", "sse")))
    rule = Rule(reply=reply_of(completion), stream=stream, dialect=dialect)
    server.load(Scenario(rules=(rule,)))
    found = list(client.chat("m", USER, stream=True))
    raw = post(f"{server.url}/api/chat", json.dumps({"model": "m", "messages": USER}).encode()).content
    for line in filter(bytes.strip, raw.split(b"\n")):
        _Strict.model_validate_json(line, strict=True)
    choice = completion.choices[0]
    thinking, content, calls = parts([each.message for each in found])
    assert (thinking, content) == (choice.reasoning, choice.content + choice.refusal)
    assert [name for name, _ in calls] == [call.name for call in choice.tool_calls]
