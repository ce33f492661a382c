"""The frameworks' own agents, unmodified, with only a base URL and a key: a tool is called, its result is sent back, and
the answer is text; or the answer has the shape of a class.

Both with scripted replies and with generated ones, which follow the tools and the `response_format` of a request.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import fakellm
from fakellm.scenarios.reply import Call, Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.testing.handle import Handle
from tests.clients.driving import need

pytestmark = pytest.mark.filterwarnings("ignore")  # their warnings are not ours to fix


class Weather(BaseModel):
    """The weather in a city."""

    city: str
    degrees: int


class Tool:
    """A tool, and the cities for which it was called."""

    def __init__(self) -> None:
        self.cities: list[str] = []

    def temperature(self, city: str) -> str:
        """The temperature in a city, in °C."""
        self.cities.append(city)
        return "3 °C"


SHAPED = '{"city":"Oslo","degrees":3}'

LOOP = Scenario(
    rules=(
        Rule(reply=Reply(tool_calls=(Call("temperature", {"city": "Oslo"}),)), when=fakellm.When(turn=1)),
        Rule(reply=Reply(content="It is 3 °C in Oslo."), when=fakellm.When(turn=2)),
    )
)
SHAPE_AS_TEXT = Scenario(rules=(Rule(reply=Reply(content=SHAPED)),))
SHAPE_AS_CALL = Scenario(rules=(Rule(reply=Reply(tool_calls=(Call("final_result", SHAPED),))),))


@pytest.fixture(autouse=True)
def event_loop() -> Iterator[None]:
    """An event loop for the frameworks that use the current one. What they leave open is freed here, not in a later test."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
    asyncio.set_event_loop(None)
    gc.collect()


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(strict=True) as handle:
        yield handle


@pytest.fixture
def generating() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


def langchain(server: Handle) -> tuple[Any, Any]:
    """Two functions: one returns the text of an agent's loop, the other a structured answer."""
    need("langchain")
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-5", base_url=server.base_url, api_key="any")

    def loop(tool: Callable[[str], str]) -> str:
        state = create_agent(model, tools=[tool]).invoke({"messages": [("user", "How cold is it in Oslo?")]})
        return str(state["messages"][-1].content)

    return loop, lambda: model.with_structured_output(Weather).invoke("How cold is it in Oslo?")


def pydantic_ai(server: Handle) -> tuple[Any, Any]:
    need("pydantic_ai_stream")
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("gpt-5", provider=OpenAIProvider(base_url=server.base_url, api_key="any"))

    def loop(tool: Callable[[str], str]) -> str:
        return str(Agent(model, tools=[tool]).run_sync("How cold is it in Oslo?").output)

    return loop, lambda: Agent(model, output_type=Weather).run_sync("How cold is it in Oslo?").output


def litellm(server: Handle) -> tuple[Any, Any]:
    """It has no agents: the loop is the one from its documentation."""
    need("litellm_chunks")
    import litellm

    server_and_key = {"model": "openai/gpt-5", "base_url": server.base_url, "api_key": "any"}
    question: list[Any] = [{"role": "user", "content": "How cold is it in Oslo?"}]
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "temperature", "description": "°C", "parameters": schema}}]

    def loop(tool: Callable[[str], str]) -> str:
        messages = list(question)
        while True:
            message = litellm.completion(messages=messages, tools=tools, **server_and_key).choices[0].message
            if not message.tool_calls:
                return str(message.content)
            messages.append(message)
            for call in message.tool_calls:
                result = tool(json.loads(call.function.arguments)["city"])
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    def shape() -> Weather:
        reply = litellm.completion(messages=question, response_format=Weather, **server_and_key)
        return Weather.model_validate_json(reply.choices[0].message.content)

    return loop, shape


def openai_agents(server: Handle) -> tuple[Any, Any]:
    need("openai_agents")
    import openai
    from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool

    async def running(agent: Any) -> Any:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any") as client:
            provider = OpenAIProvider(openai_client=client, use_responses=False)
            config = RunConfig(model_provider=provider, tracing_disabled=True)
            return (await Runner.run(agent, "How cold is it in Oslo?", run_config=config)).final_output

    def run(agent: Any) -> Any:
        return asyncio.run(running(agent))

    def loop(tool: Callable[[str], str]) -> str:
        return str(run(Agent(name="weather", model="gpt-5", tools=[function_tool(tool)])))

    return loop, lambda: run(Agent(name="weather", model="gpt-5", output_type=Weather))


def openai_agents_by_default(server: Handle) -> tuple[Any, Any]:
    """With the API that it uses unless another is chosen: Responses."""
    need("openai_agents")
    import openai
    from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool

    async def running(agent: Any) -> Any:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any") as client:
            config = RunConfig(model_provider=OpenAIProvider(openai_client=client), tracing_disabled=True)
            streamed = Runner.run_streamed(agent, "How cold is it in Oslo?", run_config=config)
            async for _ in streamed.stream_events():
                pass
            return streamed.final_output

    def loop(tool: Callable[[str], str]) -> str:
        agent: Any = Agent(name="weather", model="gpt-5", tools=[function_tool(tool)])
        return str(asyncio.run(running(agent)))

    return loop, lambda: asyncio.run(running(Agent(name="weather", model="gpt-5", output_type=Weather)))


def pydantic_ai_responses(server: Handle) -> tuple[Any, Any]:
    need("pydantic_ai_stream")
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIResponsesModel("gpt-5", provider=OpenAIProvider(base_url=server.base_url, api_key="any"))

    def loop(tool: Callable[[str], str]) -> str:
        return str(Agent(model, tools=[tool]).run_sync("How cold is it in Oslo?").output)

    return loop, lambda: Agent(model, output_type=Weather).run_sync("How cold is it in Oslo?").output


FRAMEWORKS = [langchain, pydantic_ai, litellm, openai_agents, openai_agents_by_default, pydantic_ai_responses]
RESPONSES = (openai_agents_by_default, pydantic_ai_responses)


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.__name__)
def test_a_scripted_agent_calls_the_tool_and_then_answers(framework: Any, server: Handle) -> None:
    loop, _ = framework(server)
    tool = Tool()
    server.load(LOOP)
    assert loop(tool.temperature) == "It is 3 °C in Oslo."
    assert tool.cities == ["Oslo"]
    first, second = server.journal
    if framework in RESPONSES:
        *_, call, result = second.request["input"]
        assert (call["name"], result["call_id"]) == ("temperature", call["call_id"])
        assert "3 °C" in str(result["output"])
    else:
        call, result = second.request["messages"][-2:]
        assert call["tool_calls"][0]["function"]["name"] == "temperature"
        assert result["tool_call_id"] == call["tool_calls"][0]["id"]
        assert "3 °C" in str(result["content"])
    assert [entry.rule for entry in (first, second)] == ["scenario#1", "scenario#2"]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.__name__)
def test_a_scripted_answer_comes_in_shape(framework: Any, server: Handle) -> None:
    _, shape = framework(server)
    server.load(SHAPE_AS_CALL if framework in (pydantic_ai, pydantic_ai_responses) else SHAPE_AS_TEXT)
    assert shape() == Weather(city="Oslo", degrees=3)


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.__name__)
def test_a_generated_agent_calls_the_tool_and_then_answers(framework: Any, generating: Handle) -> None:
    loop, _ = framework(generating)
    tool = Tool()
    assert loop(tool.temperature)
    assert tool.cities
    assert [entry.status for entry in generating.journal] == [200, 200]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.__name__)
def test_a_generated_answer_comes_in_shape(framework: Any, generating: Handle) -> None:
    _, shape = framework(generating)
    assert isinstance(shape(), Weather)
    assert len(generating.journal) == 1
