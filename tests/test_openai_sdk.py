"""The real openai SDK, unmodified: the recorded tool loop, streamed and whole, sync and async; errors and any stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import fakellm
from fakellm.fuzzing.strategies import streams
from fakellm.scenarios.scenario import Scenario
from fakellm.testing.handle import Handle
from tests.conftest import ROOT

SCENARIO = ROOT / "scenarios" / "xai-parallel-tools.yaml"
TEXT = "The sum of 2 and 3 is 5.  \nThe product of 2 and 3 is 6."
CALLS = [("call_10831804", "add", '{"a":2,"b":3}'), ("call_81736910", "multiply", '{"a":2,"b":3}')]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("add", "multiply")]
RESULTS = {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b}


class Reply:
    """What a careful client makes of a reply: text, calls in order, finish, usage."""

    def __init__(self) -> None:
        self.content = ""
        self.calls: dict[int, list[str]] = {}
        self.finish_reason: str | None = None
        self.usage: Any = None

    def add_chunk(self, chunk: ChatCompletionChunk) -> None:
        for choice in chunk.choices:
            self.content += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                assert call.function
                known = self.calls.setdefault(call.index, ["", "", ""])
                for place, value in enumerate((call.id, call.function.name, call.function.arguments)):
                    known[place] += value or ""
            self.finish_reason = choice.finish_reason or self.finish_reason
        self.usage = chunk.usage or self.usage

    def add_whole(self, completion: ChatCompletion) -> None:
        choice = completion.choices[0]
        self.content, self.finish_reason, self.usage = (
            choice.message.content or "",
            choice.finish_reason,
            completion.usage,
        )
        for index, call in enumerate(choice.message.tool_calls or []):
            assert call.type == "function"
            self.calls[index] = [call.id, call.function.name, call.function.arguments]

    def as_messages(self) -> list[dict[str, Any]]:
        """The assistant's message and the results of its calls, for the next turn."""
        calls = [self.calls[index] for index in sorted(self.calls)]
        said = [{"id": i, "type": "function", "function": {"name": name, "arguments": text}} for i, name, text in calls]
        done = [
            {"role": "tool", "tool_call_id": i, "content": str(RESULTS[name](**json.loads(text)))}
            for i, name, text in calls
        ]
        return [{"role": "assistant", "tool_calls": said}, *done]


def request(messages: list[dict[str, Any]], stream: bool) -> dict[str, Any]:
    options = {"stream_options": {"include_usage": True}} if stream else {}
    return {"model": "grok-4-fast", "messages": messages, "tools": TOOLS, "stream": stream, **options}


def check(first: Reply, second: Reply) -> None:
    assert [tuple(first.calls[index]) for index in sorted(first.calls)] == CALLS
    assert (first.content, first.finish_reason, first.usage.total_tokens) == ("", "tool_calls", 596)
    assert (second.content, second.calls, second.finish_reason) == (TEXT, {}, "stop")
    assert (second.usage.prompt_tokens, second.usage.completion_tokens, second.usage.total_tokens) == (610, 25, 684)
    assert second.usage.completion_tokens_details.reasoning_tokens == 49


ASKED = [{"role": "user", "content": "Add and multiply the number 2 and 3"}]


@pytest.mark.parametrize("stream", [True, False])
def test_the_tool_loop(stream: bool) -> None:
    with (
        fakellm.serve(SCENARIO, strict=True) as server,
        openai.OpenAI(base_url=server.base_url, api_key="x") as client,
    ):

        def ask(messages: list[dict[str, Any]]) -> Reply:
            reply = Reply()
            answer: Any = client.chat.completions.create(**request(messages, stream))
            for chunk in answer if stream else ():
                reply.add_chunk(chunk)
            if not stream:
                reply.add_whole(answer)
            return reply

        first = ask(ASKED)
        check(first, ask([*ASKED, *first.as_messages()]))


@pytest.mark.parametrize("stream", [True, False])
def test_the_tool_loop_with_the_async_client(stream: bool) -> None:
    async def loop(server: Handle) -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client:

            async def ask(messages: list[dict[str, Any]]) -> Reply:
                reply = Reply()
                answer: Any = await client.chat.completions.create(**request(messages, stream))
                if stream:
                    async for chunk in answer:
                        reply.add_chunk(chunk)
                else:
                    reply.add_whole(answer)
                return reply

            first = await ask(ASKED)
            check(first, await ask([*ASKED, *first.as_messages()]))

    with fakellm.serve(SCENARIO, strict=True) as server:
        asyncio.run(loop(server))


def test_errors_become_the_sdks_own(fakellm_server: Handle) -> None:
    strict = fakellm_server.session("errors", strict=True)
    strict.load(SCENARIO)
    strict.allow_unmatched()
    with openai.OpenAI(base_url=strict.base_url, api_key="x") as client:
        with pytest.raises(
            openai.NotFoundError, match=r"The nearest is 'xai-parallel-tools#2'; it differs in model: "
        ) as missed:
            client.chat.completions.create(model="m", messages=[{"role": "assistant", "content": ""}])
        assert (missed.value.code, missed.value.type) == ("no_matching_rule", "invalid_request_error")
        with pytest.raises(openai.BadRequestError, match="Missing required parameter: 'model'") as bad:
            client.post("/chat/completions", body={}, cast_to=object)
        assert (bad.value.param, bad.value.code) == ("model", "missing_required_parameter")
    assert len(strict.journal) == 2  # neither was tried again


def test_models(fakellm_server: Handle) -> None:
    with openai.OpenAI(base_url=fakellm_server.base_url, api_key="x") as client:
        assert [model.id for model in client.models.list()] == ["fakellm"]


def read(chunks: Iterable[ChatCompletionChunk]) -> dict[int, str]:
    """The text of each choice, as a client that does nothing clever collects it."""
    texts: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    return texts


@settings(max_examples=30)
@given(scenario=streams("standard"))
def test_the_sdk_reads_any_stream(fakellm_server: Handle, scenario: Scenario) -> None:
    session = fakellm_server.session("any")
    session.load(scenario)
    with openai.OpenAI(base_url=session.base_url, api_key="x") as client:
        stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
        reply = scenario.rules[0].reply
        assert read(stream) == {index: choice.content for index, choice in enumerate(reply.choices or (reply,))}
