"""OpenAI's Agents SDK with its defaults, which are the Responses API and the environment."""

from __future__ import annotations

from typing import Any

from agents import Agent, ModelRefusalError, ModelSettings, Runner, function_tool, set_tracing_disabled
from openai.types.shared import Reasoning

from tests.clients.adapters import QUESTION, Answer, Ask, Weather, temperature

set_tracing_disabled(True)  # traces go to OpenAI


class OpenAIAgents:
    """It streams only asynchronously."""

    def ask(self, ask: Ask, stream: bool) -> Answer:
        try:
            return answer(Runner.run_sync(agent(ask), QUESTION))
        except ModelRefusalError as refusal:
            return refused(refusal)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        try:
            if not stream:
                return answer(await Runner.run(agent(ask), QUESTION))
            running = Runner.run_streamed(agent(ask), QUESTION)
            async for _ in running.stream_events():
                pass
            return answer(running)
        except ModelRefusalError as refusal:
            return refused(refusal)

    def leave(self) -> str:
        raise NotImplementedError

    async def leave_async(self) -> str:
        running = Runner.run_streamed(agent(Ask()), QUESTION)
        async for event in running.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                running.cancel()
                return str(event.data.delta)
        return ""


def agent(ask: Ask) -> Any:
    options: dict[str, Any] = {}
    if ask.tool:
        options["tools"] = [function_tool(temperature)]
    if ask.shape:
        options["output_type"] = Weather
    if ask.thinks:
        options["model_settings"] = ModelSettings(reasoning=Reasoning(effort="high", summary="auto"))
    return Agent(name="weather", model="gpt-5", **options)


def answer(result: Any) -> Answer:
    thoughts = [item.raw_item for item in result.new_items if item.type == "reasoning_item"]
    output = result.final_output
    return Answer(
        text=output if isinstance(output, str) else "",
        thinking="".join(summary.text for item in thoughts for summary in item.summary),
        value=output if isinstance(output, Weather) else None,
    )


def refused(error: ModelRefusalError) -> Answer:
    return Answer(text=error.refusal)
