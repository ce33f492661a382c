"""Pydantic AI's agents, which run the loop: one adapter for all models."""

from __future__ import annotations

import json
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.exceptions import ContentFilterError
from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart

from tests.clients.adapters import QUESTION, Answer, Ask, Weather, temperature


class PydanticAI:
    """An agent with this model."""

    def __init__(self, model: str, **settings: Any) -> None:
        self.model, self.settings = model, settings

    def ask(self, ask: Ask, stream: bool) -> Answer:
        try:
            if not stream:
                result = self.agent(ask).run_sync(QUESTION)
                return answer(result, result.output)
            with self.agent(ask).run_stream_sync(QUESTION) as streamed:
                return answer(streamed, streamed.get_output())
        except ContentFilterError as error:
            return refused(error)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        try:
            if not stream:
                result = await self.agent(ask).run(QUESTION)
                return answer(result, result.output)
            async with self.agent(ask).run_stream(QUESTION) as streamed:
                return answer(streamed, await streamed.get_output())
        except ContentFilterError as error:
            return refused(error)

    def leave(self) -> str:
        with self.agent(Ask()).run_stream_sync(QUESTION) as result:
            return str(next(iter(result.stream_text(delta=True, debounce_by=None))))

    async def leave_async(self) -> str:
        async with self.agent(Ask()).run_stream(QUESTION) as result:
            return await anext(result.stream_text(delta=True, debounce_by=None))

    def agent(self, ask: Ask) -> Any:
        kinds: dict[str, Any] = {"output_type": Weather} if ask.shape else {}
        settings: Any = {"thinking": "high", **self.settings} if ask.thinks else {}
        return Agent(self.model, tools=[temperature] if ask.tool else [], model_settings=settings, **kinds)


def answer(result: Any, output: Any) -> Answer:
    responses = [message for message in result.all_messages() if isinstance(message, ModelResponse)]
    parts = responses[-1].parts
    return Answer(
        text="".join(part.content for part in parts if isinstance(part, TextPart)),
        thinking="".join(part.content for part in parts if isinstance(part, ThinkingPart)),
        value=output if isinstance(output, Weather) else None,
    )


def refused(error: ContentFilterError) -> Answer:
    """The refusal, which it raises as an error."""
    return Answer(text=json.loads(error.body or "")[0]["provider_details"]["refusal"])


def on_responses() -> PydanticAI:
    return PydanticAI("openai-responses:gpt-5", openai_reasoning_summary="auto")


def on_messages() -> PydanticAI:
    return PydanticAI("anthropic:claude-sonnet-5")


def on_gemini() -> PydanticAI:
    return PydanticAI("google:gemini-2.5-flash")
