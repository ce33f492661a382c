"""LangChain's chat models: one adapter for all, since they have one interface."""

from __future__ import annotations

import os
from typing import Any

from langchain_core.messages import ToolMessage

from tests.clients.adapters import QUESTION, Answer, Ask, Turns, Weather, called, converse, converse_async, temperature


class LangChain:
    """A chat model, without and with the options for thinking."""

    def __init__(self, model: Any, **thinking: Any) -> None:
        self.model, self.thinking = model, thinking

    def ask(self, ask: Ask, stream: bool) -> Answer:
        model = self.runnable(ask)

        def send(fields: dict[str, Any]) -> Any:
            return whole([*model.stream(**fields)]) if stream else model.invoke(**fields)

        return converse(turns(ask), send)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        model = self.runnable(ask)

        async def send(fields: dict[str, Any]) -> Any:
            return whole([part async for part in model.astream(**fields)]) if stream else await model.ainvoke(**fields)

        return await converse_async(turns(ask), send)

    def leave(self) -> str:
        parts = self.runnable(Ask()).stream(QUESTION)
        text = next(part.text for part in parts if part.text)
        parts.close()
        return str(text)

    async def leave_async(self) -> str:
        parts = self.runnable(Ask()).astream(QUESTION)
        text = await anext(part.text async for part in parts if part.text)
        await parts.aclose()
        return str(text)

    def runnable(self, ask: Ask) -> Any:
        model = self.model(**self.thinking) if ask.thinks else self.model()
        if ask.tool:
            return model.bind_tools([temperature])
        return model.with_structured_output(Weather) if ask.shape else model


def whole(parts: list[Any]) -> Any:
    """The sum of chunks; of the states of a structured answer, the last."""
    if isinstance(parts[0], Weather):
        return parts[-1]
    return sum(parts[1:], start=parts[0])


def turns(ask: Ask) -> Turns:
    messages: list[Any] = [("user", QUESTION)]
    while True:
        message = yield {"input": messages}
        if ask.shape:
            return Answer(value=message)
        if not message.tool_calls:
            return answer(message)
        results = [ToolMessage(called(call["args"]), tool_call_id=call["id"]) for call in message.tool_calls]
        messages = [*messages, message, *results]


def answer(message: Any) -> Answer:
    blocks = message.content_blocks
    refusal = "".join(block["refusal"] for block in blocks if block["type"] == "refusal")
    return Answer(
        text=message.text + refusal,
        thinking="".join(block.get("reasoning", "") for block in blocks if block["type"] == "reasoning"),
    )


def on_responses() -> LangChain:
    from langchain_openai import ChatOpenAI

    reasoning = {"effort": "high", "summary": "auto"}
    return LangChain(lambda **more: ChatOpenAI(model="gpt-5", use_responses_api=True, **more), reasoning=reasoning)


def on_messages() -> LangChain:
    from langchain_anthropic import ChatAnthropic

    thinking = {"type": "enabled", "budget_tokens": 1024}
    return LangChain(lambda **more: ChatAnthropic(model="claude-sonnet-5", max_tokens=2048, **more), thinking=thinking)


def on_gemini() -> LangChain:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return LangChain(
        lambda **more: ChatGoogleGenerativeAI(model="gemini-2.5-flash", **more),
        include_thoughts=True,
        thinking_budget=1024,
    )


def on_ollama() -> LangChain:
    from langchain_ollama import ChatOllama

    return LangChain(
        lambda **more: ChatOllama(model="llama3.2", base_url=os.environ["OLLAMA_HOST"], **more), reasoning=True
    )
