"""OpenAI's SDK for Python reads what a server sends on this API's routes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

import fakellm
from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.scenarios.loader import load

TOOLS: Any = [{"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": False}]
RULES: list[dict[str, Any]] = [
    {"when": {"user": "Hi"}, "reply": {"content": "Hello there 🌍", "reasoning": "A greeting."}},
    {"when": {"user": "Add"}, "reply": {"tool_calls": [{"name": "add", "arguments": {"a": 1}}, {"name": "add"}]}},
    {"when": {"user": "Book"}, "reply": {"content": '{"title":"Emma"}'}},
    {"when": {"user": "No"}, "reply": {"refusal": "I will not."}},
    {"when": {"user": "Long"}, "reply": {"content": "One two", "finish_reason": "length"}},
    {"when": {"user": "Break"}, "reply": {"content": "One two"}, "fault": {"kind": "error", "frame": 5}},
    {"when": {"user": "Overloaded"}, "reply": {"content": ""}, "fault": {"kind": "status", "status": 503}},
]


def rules(**more: Any) -> Any:
    return load({"rules": [{**rule, "stream": {"split": "tokens"}, **more} for rule in RULES]})


@pytest.fixture(scope="module")
def client() -> Iterator[OpenAI]:
    with (
        fakellm.serve(rules(), strict=True) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client,
    ):
        yield client


def test_a_reply_is_created(client: OpenAI) -> None:
    response = client.responses.create(model="gpt-5", input="Hi", instructions="Be brief", metadata={"a": "b"})
    assert response.output_text == "Hello there 🌍"
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert (response.status, response.instructions, response.metadata) == ("completed", "Be brief", {"a": "b"})
    assert response.usage
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_is_streamed(dialect: str) -> None:
    with (
        fakellm.serve(rules(dialect=dialect), strict=True) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client,
    ):
        texts, kinds, final = [], [], None
        for event in client.responses.create(model="gpt-5", input="Hi", stream=True):
            kinds.append(event.type)
            texts += [event.delta] if event.type == "response.output_text.delta" else []
            final = event.response if event.type == "response.completed" else None
        assert "".join(texts) == "Hello there 🌍"
        assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
        assert final
        assert final.output_text == ("" if dialect == "chatgpt" else "Hello there 🌍")


def test_the_streaming_helper_accumulates_a_response(client: OpenAI) -> None:
    with client.responses.stream(model="gpt-5", input="Add", tools=TOOLS) as stream:
        arguments = [event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"]
        response = stream.get_final_response()
    assert arguments[-1] == "{}"
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == [("add", '{"a":1}'), ("add", "{}")]
    assert len({call.call_id for call in calls}) == 2


def test_structured_output_is_parsed(client: OpenAI) -> None:
    class Book(BaseModel):
        title: str

    response = client.responses.parse(model="gpt-5", input="Book", text_format=Book)
    assert response.output_parsed == Book(title="Emma")


def test_a_refusal_and_an_incomplete_response(client: OpenAI) -> None:
    (message,) = client.responses.create(model="gpt-5", input="No").output
    assert message.type == "message"
    assert message.content[0].type == "refusal"
    *_, last = client.responses.create(model="gpt-5", input="Long", stream=True)
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_errors_are_raised(client: OpenAI) -> None:
    with pytest.raises(openai.APIError, match="error while processing"):
        list(client.responses.create(model="gpt-5", input="Break", stream=True))
    with pytest.raises(openai.InternalServerError) as error:
        client.responses.create(model="gpt-5", input="Overloaded")
    assert error.value.status_code == 503
    with pytest.raises(openai.NotFoundError, match="No rule matches"):
        client.responses.create(model="gpt-5", input="Unknown")
    with pytest.raises(openai.BadRequestError, match="Expected a value >= 16"):
        client.responses.create(model="gpt-5", input="Hi", max_output_tokens=1)


def test_tokens_are_counted_and_conversations_compacted(client: OpenAI) -> None:
    assert client.responses.input_tokens.count(model="gpt-5", input="Hi").input_tokens > 3
    compacted = client.responses.compact(model="gpt-5", input="Hi")
    assert [item.type for item in compacted.output] == ["message", "compaction"]


def test_replies_without_rules_are_generated() -> None:
    with fakellm.serve() as server, OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
        response = client.responses.create(model="gpt-5", input="Anything", tools=TOOLS, tool_choice="required")
        assert [item.type for item in response.output if item.type != "reasoning"] == ["function_call"] * len(
            [item for item in response.output if item.type == "function_call"]
        )
        assert client.responses.create(model="gpt-5", input="Anything").output_text


def test_the_asynchronous_client_streams() -> None:
    async def text(url: str) -> str:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
            stream = await client.responses.create(model="gpt-5", input="Hi", stream=True)
            return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

    with fakellm.serve(rules(), strict=True) as server:
        assert asyncio.run(text(server.url)) == "Hello there 🌍"


@pytest.mark.parametrize("base", ["", "/api/v1", "/openai/v1", "/backend-api/codex"])
def test_every_base_path_is_served(base: str) -> None:
    with (
        fakellm.serve(rules(), strict=True) as server,
        OpenAI(base_url=server.url + base, api_key="x", max_retries=0) as client,
    ):
        assert client.responses.create(model="gpt-5", input="Hi").output_text == "Hello there 🌍"


def test_azure_is_served() -> None:
    with (
        fakellm.serve(rules(dialect="azure"), strict=True) as server,
        openai.AzureOpenAI(
            azure_endpoint=server.url, api_key="x", api_version="2025-03-01-preview", max_retries=0
        ) as client,
    ):
        assert client.responses.create(model="gpt-5", input="Hi").output_text == "Hello there 🌍"


def test_a_response_in_the_background_is_queued(client: OpenAI) -> None:
    events = client.responses.create(model="gpt-5", input="Hi", background=True, stream=True)
    kinds = [event.type for event in events]
    assert kinds[:3] == ["response.created", "response.queued", "response.in_progress"]
