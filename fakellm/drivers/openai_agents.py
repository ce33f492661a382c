"""Runs `openai-agents`: `Runner.run_streamed`, with an agent that stops at the first tool calls.

`python -m fakellm.drivers.openai_agents` starts it. With the argument `responses`, it is for this API.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai
from agents import (
    Agent,
    FunctionTool,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    set_tracing_disabled,
)

from fakellm.drivers.loop import Result, run
from fakellm.drivers.request import functions, prompt

RESPONSES = "responses" in sys.argv[1:]
MODEL = OpenAIResponsesModel if RESPONSES else OpenAIChatCompletionsModel
CLIENT = openai.AsyncOpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)


async def answer(base_url: str, request: dict[str, Any], seconds: float) -> Result:
    client = CLIENT.with_options(base_url=base_url, timeout=seconds)
    agent = Agent(
        name="driven",
        model=MODEL(request["model"], openai_client=client),
        model_settings=ModelSettings(include_usage=True),
        tools=[_tool(function) for function in functions(request)],
        tool_use_behavior="stop_on_first_tool",
    )
    running = Runner.run_streamed(agent, prompt(request))
    async for _ in running.stream_events():
        pass
    return _result(running.raw_responses[-1])


def _tool(function: dict[str, Any]) -> FunctionTool:
    async def called(context: Any, arguments: str) -> str:
        return "done"

    return FunctionTool(function["name"], "", function["parameters"], called, strict_json_schema=False)


def _result(response: Any) -> Result:
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    thoughts = [part for item in response.output if item.type == "reasoning" for part in item.content or item.summary]
    calls = [item for item in response.output if item.type == "function_call"]
    return {
        "content": "".join(part.text for part in parts if part.type == "output_text"),
        **({} if RESPONSES else {"reasoning": "".join(part.text for part in thoughts)}),  # a summary is not compared
        "refusal": "".join(part.refusal for part in parts if part.type == "refusal"),
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
        "usage": {
            "prompt_tokens": response.usage.input_tokens,
            "completion_tokens": response.usage.output_tokens,
            "total_tokens": response.usage.total_tokens,
        },
    }


if __name__ == "__main__":
    set_tracing_disabled(True)
    with asyncio.Runner() as loop:
        run(lambda *case: loop.run(answer(*case)))
