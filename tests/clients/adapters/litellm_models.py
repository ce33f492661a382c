"""LiteLLM, which has one interface for all APIs. Its loop is the one from its documentation."""

from __future__ import annotations

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it downloads one when it is imported
import litellm

from tests.clients.adapters import PARAMETERS, QUESTION, Answer, Ask, Turns, Weather, called, converse, converse_async


class LiteLLM:
    """Its completions with this model, whose prefix chooses the API, without and with the option for thinking."""

    def __init__(self, model: str, reasoning_effort: Any = "high") -> None:
        self.model, self.thinking = model, {"reasoning_effort": reasoning_effort}

    def ask(self, ask: Ask, stream: bool) -> Answer:
        def send(fields: dict[str, Any]) -> Any:
            found = litellm.completion(stream=stream, **fields)
            return whole([*found]) if stream else found

        return converse(turns(self.fields(ask), ask), send)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        async def send(fields: dict[str, Any]) -> Any:
            found = await litellm.acompletion(stream=stream, **fields)
            return whole([part async for part in found]) if stream else found

        return await converse_async(turns(self.fields(ask), ask), send)

    def leave(self) -> str:
        parts = litellm.completion(stream=True, **self.fields(Ask()))
        text = next(part.choices[0].delta.content for part in parts if part.choices[0].delta.content)
        parts.close()
        return str(text)

    async def leave_async(self) -> str:
        parts = await litellm.acompletion(stream=True, **self.fields(Ask()))
        text = await anext(part.choices[0].delta.content async for part in parts if part.choices[0].delta.content)
        await parts.aclose()
        return str(text)

    def fields(self, ask: Ask) -> dict[str, Any]:
        fields: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": QUESTION}]}
        if ask.tool:
            fields["tools"] = [{"type": "function", "function": {"name": "temperature", "parameters": PARAMETERS}}]
        if ask.shape:
            fields["response_format"] = Weather
        return fields | (self.thinking if ask.thinks else {})


def whole(chunks: list[Any]) -> Any:
    return litellm.stream_chunk_builder(chunks)


def turns(fields: dict[str, Any], ask: Ask) -> Turns:
    while True:
        message = (yield fields).choices[0].message
        if not message.tool_calls:
            return answer(message, ask)
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": called(call.function.arguments)}
            for call in message.tool_calls
        ]
        fields = fields | {"messages": [*fields["messages"], message, *results]}


def answer(message: Any, ask: Ask) -> Answer:
    text = message.content or ""
    return Answer(
        text=text,
        thinking=getattr(message, "reasoning_content", None) or "",
        value=Weather.model_validate_json(text) if ask.shape else None,
    )


def on_chat() -> LiteLLM:
    return LiteLLM("openai/gpt-5")


def on_responses() -> LiteLLM:
    return LiteLLM("openai/responses/gpt-5", {"effort": "high", "summary": "auto"})


def on_messages() -> LiteLLM:
    return LiteLLM("anthropic/claude-sonnet-4-5")


def on_gemini() -> LiteLLM:
    return LiteLLM("gemini/gemini-2.5-flash")


def on_ollama() -> LiteLLM:
    return LiteLLM("ollama_chat/llama3.2")
