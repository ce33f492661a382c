"""Anthropic's agent SDK, which runs Claude Code: a program of its own, configured by its environment alone.

It has no whole replies and no synchronous client. Its own tools are switched off, since a generated reply would call
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import fakellm
from fakellm import faults
from fakellm.scenarios.reply import Call, Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.testing.handle import Handle
from tests.clients.adapters import QUESTION, Weather, has_left, temperature

sdk: Any = import_module("claude_agent_sdk") if find_spec("claude_agent_sdk") else None
pytestmark = pytest.mark.skipif(sdk is None, reason="claude-agent-sdk is not installed: pip install -e '.[clients]'")
TOOL = "mcp__weather__temperature"
SHAPED = '{"city":"Oslo","degrees":3}'


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


@pytest.fixture
def options(server: Handle, tmp_path: Path) -> dict[str, Any]:
    """The server's URL and a key, and a home without the settings of this machine's user."""
    home = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return {"env": {**server.env, **home}, "cwd": tmp_path, "model": "claude-sonnet-5", "tools": [], "max_turns": 5}


async def messages(options: dict[str, Any]) -> AsyncIterator[Any]:
    async for message in sdk.query(prompt=QUESTION, options=sdk.ClaudeAgentOptions(**options)):
        yield message


def run(options: dict[str, Any]) -> list[Any]:
    """All messages of a conversation."""

    async def collect() -> list[Any]:
        return [message async for message in messages(options)]

    return asyncio.run(collect())


def with_tool(cities: list[str]) -> dict[str, Any]:
    """The options for the tool, which notes the cities for which it is called."""

    @sdk.tool("temperature", temperature.__doc__, {"city": str})  # type: ignore[untyped-decorator] # it may be absent
    async def tool(arguments: dict[str, Any]) -> dict[str, Any]:
        cities.append(arguments["city"])
        return {"content": [{"type": "text", "text": "3 °C"}]}

    return {"mcp_servers": {"weather": sdk.create_sdk_mcp_server("weather", tools=[tool])}, "allowed_tools": [TOOL]}


def test_a_scripted_tool_loop(server: Handle, options: dict[str, Any]) -> None:
    rules = (
        Rule(reply=Reply(tool_calls=(Call(TOOL, {"city": "Oslo"}),)), when=fakellm.When(turn=1)),
        Rule(reply=Reply(content="It is 3 °C in Oslo."), when=fakellm.When(turn=2)),
    )
    server.load(Scenario(rules=rules))
    cities: list[str] = []
    assert run(options | with_tool(cities))[-1].result == "It is 3 °C in Oslo."
    assert cities == ["Oslo"]
    assert [(entry.rule, entry.status) for entry in server.journal] == [("scenario#1", 200), ("scenario#2", 200)]


def test_a_generated_tool_loop(server: Handle, options: dict[str, Any]) -> None:
    server.load(Scenario(rules=()))
    cities: list[str] = []
    assert run(options | with_tool(cities))[-1].result
    assert cities
    assert [entry.status for entry in server.journal] == [200, 200]


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "generated"])
def test_a_structured_answer(server: Handle, options: dict[str, Any], scripted: bool) -> None:
    """It is the input of a tool, which Claude Code adds; a text ends the conversation."""
    rules = (
        Rule(reply=Reply(tool_calls=(Call("StructuredOutput", SHAPED),)), when=fakellm.When(turn=1)),
        Rule(reply=Reply(content="Done.")),
    )
    server.load(Scenario(rules=rules if scripted else ()))
    shape = {"output_format": {"type": "json_schema", "schema": Weather.model_json_schema()}}
    value = Weather.model_validate(run(options | shape)[-1].structured_output)
    assert not scripted or value == Weather(city="Oslo", degrees=3)


def test_thinking(server: Handle, options: dict[str, Any]) -> None:
    server.load(Rule(reply=Reply(reasoning="Hm, well.", content="Cold.")))
    blocks = [block for message in run(options) for block in getattr(message, "content", ())]
    assert [getattr(block, "thinking", None) or block.text for block in blocks] == ["Hm, well.", "Cold."]


def test_a_refusal(server: Handle, options: dict[str, Any]) -> None:
    server.load(Rule(reply=Reply(refusal="I will not.")))
    with pytest.raises(Exception, match="can't help with this"):  # it shows words of its own
        run(options)


def test_an_error(server: Handle, options: dict[str, Any]) -> None:
    server.load(Rule(reply=Reply(), fault=faults.Status(status=400, message="Not so.")))
    with pytest.raises(Exception, match="Not so"):
        run(options)


def test_a_stream_that_the_client_interrupts(server: Handle, options: dict[str, Any]) -> None:
    async def interrupted() -> list[str]:
        texts: list[str] = []
        async with sdk.ClaudeSDKClient(sdk.ClaudeAgentOptions(**options, include_partial_messages=True)) as client:
            await client.query(QUESTION)
            async for message in client.receive_response():
                if isinstance(message, sdk.StreamEvent) and message.event["type"] == "content_block_delta":
                    texts.append(message.event["delta"]["text"])
                    await client.interrupt()
        return texts

    stream, stall = fakellm.Variation(split="words"), faults.Stall(frame=5)
    server.load(Rule(reply=Reply(content="word " * 20), stream=stream, fault=stall))
    assert "word" in asyncio.run(interrupted())[0]
    assert has_left(server)
