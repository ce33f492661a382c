"""LlamaIndex's models: one adapter for all, since they have one interface."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from tests.clients.adapters import QUESTION, Answer, Ask, Turns, Weather, called, converse, converse_async, temperature


class LlamaIndex:
    """A model, without and with the options for thinking."""

    def __init__(self, model: Callable[..., Any], **thinking: Any) -> None:
        self.model, self.thinking = model, thinking

    def ask(self, ask: Ask, stream: bool) -> Answer:
        model = self.llm(ask)

        def send(fields: dict[str, Any]) -> Any:
            if ask.tool:
                return last([*model.stream_chat_with_tools(**fields)]) if stream else model.chat_with_tools(**fields)
            history = fields["chat_history"]
            return last([*model.stream_chat(history)]) if stream else model.chat(history)

        return converse(turns(ask, model), send)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        model = self.llm(ask)

        async def send(fields: dict[str, Any]) -> Any:
            if ask.tool and not stream:
                return await model.achat_with_tools(**fields)
            if ask.tool:
                return last([part async for part in await model.astream_chat_with_tools(**fields)])
            history = fields["chat_history"]
            if not stream:
                return await model.achat(history)
            return last([part async for part in await model.astream_chat(history)])

        return await converse_async(turns(ask, model), send)

    def leave(self) -> str:
        parts = self.llm(Ask()).stream_chat([ChatMessage(QUESTION)])
        text = next(part.delta for part in parts if part.delta)
        parts.close()
        return str(text)

    async def leave_async(self) -> str:
        parts = await self.llm(Ask()).astream_chat([ChatMessage(QUESTION)])
        text = await anext(part.delta async for part in parts if part.delta)
        await parts.aclose()
        return str(text)

    def llm(self, ask: Ask) -> Any:
        model = self.model(**self.thinking) if ask.thinks else self.model()
        return model.as_structured_llm(Weather) if ask.shape else model


def last(parts: list[Any]) -> Any:
    """The last state of a streamed answer."""
    return parts[-1]


def turns(ask: Ask, model: Any) -> Turns:
    history = [ChatMessage(QUESTION)]
    while True:
        fields = {"chat_history": history}
        response = yield fields | ({"tools": [FunctionTool.from_defaults(temperature)]} if ask.tool else {})
        calls = model.get_tool_calls_from_response(response, error_on_no_tool_call=False) if ask.tool else []
        if not calls:
            return answer(response)
        results = [
            ChatMessage(
                called(call.tool_kwargs),
                role="tool",
                additional_kwargs={"tool_call_id": call.tool_id, "name": call.tool_name},
            )
            for call in calls
        ]
        history = [*history, response.message, *results]


def answer(response: Any) -> Answer:
    message = response.message
    return Answer(
        text=message.content or "",
        thinking="".join(block.content or "" for block in message.blocks if block.block_type == "thinking"),
        value=response.raw if isinstance(response.raw, Weather) else None,
    )


def on_responses() -> LlamaIndex:
    from llama_index.llms.openai import OpenAIResponses

    options = {"effort": "high", "summary": "auto"}
    return LlamaIndex(lambda **more: OpenAIResponses(model="gpt-5", **more), reasoning_options=options)


def on_messages() -> LlamaIndex:
    from llama_index.llms.anthropic import Anthropic

    thinking = {"type": "enabled", "budget_tokens": 1024}
    return LlamaIndex(
        lambda **more: Anthropic(model="claude-sonnet-4-5", max_tokens=2048, **more), thinking_dict=thinking
    )


def on_gemini() -> LlamaIndex:
    from google.genai.types import GenerateContentConfig, ThinkingConfig
    from llama_index.llms.google_genai import GoogleGenAI

    config = GenerateContentConfig(thinking_config=ThinkingConfig(include_thoughts=True, thinking_budget=1024))
    return LlamaIndex(lambda **more: GoogleGenAI(model="gemini-2.5-flash", **more), generation_config=config)


def on_ollama() -> LlamaIndex:
    from llama_index.llms.ollama import Ollama

    url = os.environ["OLLAMA_HOST"]
    return LlamaIndex(lambda **more: Ollama(model="llama3.2", base_url=url, **more), thinking=True)
