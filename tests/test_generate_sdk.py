"""The real openai SDK against generated replies, with a URL and a key alone: an agent's loop, structured outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

import fakellm
from tests.real_schemas import Event, MathResponse, Owner, Strict


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with fakellm.serve() as server, openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        yield client


def get_weather(city: str, unit: Literal["c", "f"]) -> str:
    return f"3 degrees {unit} in {city}"


def add(a: int, b: int) -> str:
    return str(a + b)


PROPERTIES: dict[str, dict[str, Any]] = {
    "get_weather": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
    "add": {"a": {"type": "integer"}, "b": {"type": "integer"}},
}
RESULTS: dict[str, Callable[..., str]] = {"get_weather": get_weather, "add": add}


def tool(name: str) -> Any:
    properties = PROPERTIES[name]
    parameters = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "strict": True, "parameters": parameters}}


TOOLS = [tool(name) for name in PROPERTIES]


def test_an_agent_comes_to_an_end(client: openai.OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How warm is it in Oslo?"}]
    for _turn in range(3):
        message = client.chat.completions.create(model="gpt-5", messages=messages, tools=TOOLS).choices[0].message
        messages.append(message.to_dict())  # type: ignore[arg-type] # as the SDK's own examples do
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            assert call.type == "function"
            result = RESULTS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert [message["role"] for message in messages if message["role"] != "tool"] == ["user", "assistant", "assistant"]
    assert messages[-1]["content"]


@pytest.mark.parametrize("model", [Event, MathResponse, Strict])
def test_a_structured_output_is_parsed(client: openai.OpenAI, model: type[BaseModel]) -> None:
    completion = client.chat.completions.parse(
        model="gpt-5", messages=[{"role": "user", "content": "Tell me"}], response_format=model
    )
    assert isinstance(completion.choices[0].message.parsed, model)


def test_strict_tools_are_parsed(client: openai.OpenAI) -> None:
    completion = client.chat.completions.parse(
        model="gpt-5",
        messages=[{"role": "user", "content": "Call"}],
        tools=[openai.pydantic_function_tool(Strict)],
        tool_choice="required",
    )
    calls = completion.choices[0].message.tool_calls
    assert calls
    assert isinstance(calls[0].function.parsed_arguments, Strict)


def test_a_stream_means_the_same_as_the_whole_reply(client: openai.OpenAI) -> None:
    asked: Any = {
        "model": "gpt-5",
        "messages": [{"role": "user", "content": "Whose pet?"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "owner", "schema": Owner.model_json_schema()},
        },
    }
    whole = client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.usage == whole.usage
    Owner.model_validate_json(whole.choices[0].message.content or "")


def test_a_schema_without_a_value_is_a_bad_request(client: openai.OpenAI) -> None:
    shape: Any = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object", "minProperties": 9, "maxProperties": 8}},
    }
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}], response_format=shape)
    assert caught.value.param == "response_format.json_schema.schema"
