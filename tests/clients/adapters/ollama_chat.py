"""Ollama's SDK. It reads the address of the server when it is imported, so its clients are given one."""

from __future__ import annotations

import os
from typing import Any

import ollama

from tests.clients.adapters import QUESTION, Answer, Ask, Turns, Weather, called, converse, converse_async, temperature


class OllamaChat:
    def ask(self, ask: Ask, stream: bool) -> Answer:
        with ollama.Client(os.environ["OLLAMA_HOST"]) as client:

            def send(fields: dict[str, Any]) -> Any:
                return [*client.chat(**fields, stream=True)] if stream else [client.chat(**fields)]

            return converse(turns(ask), send)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        async with ollama.AsyncClient(os.environ["OLLAMA_HOST"]) as client:

            async def send(fields: dict[str, Any]) -> Any:
                if not stream:
                    return [await client.chat(**fields)]
                return [part async for part in await client.chat(**fields, stream=True)]

            return await converse_async(turns(ask), send)

    def leave(self) -> str:
        with ollama.Client(os.environ["OLLAMA_HOST"]) as client:
            parts: Any = client.chat(**fields_of(Ask()), stream=True)
            text = next(parts).message.content
            parts.close()
            return str(text)

    async def leave_async(self) -> str:
        async with ollama.AsyncClient(os.environ["OLLAMA_HOST"]) as client:
            parts: Any = await client.chat(**fields_of(Ask()), stream=True)
            text = (await anext(parts)).message.content
            await parts.aclose()
            return str(text)


def fields_of(ask: Ask) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": "llama3.2", "messages": [{"role": "user", "content": QUESTION}]}
    if ask.tool:
        fields["tools"] = [temperature]
    if ask.shape:
        fields["format"] = Weather.model_json_schema()
    if ask.thinks:
        fields["think"] = True
    return fields


def turns(ask: Ask) -> Turns:
    fields = fields_of(ask)
    while True:
        parts = yield fields
        message = whole([part.message for part in parts])
        calls = message.tool_calls or ()
        if not calls:
            return answer(message, ask)
        results = [
            {"role": "tool", "tool_name": call.function.name, "content": called(dict(call.function.arguments))}
            for call in calls
        ]
        fields = fields | {"messages": [*fields["messages"], message, *results]}


def whole(messages: list[ollama.Message]) -> ollama.Message:
    """The message that these parts make, as Ollama's documentation adds them up."""
    return ollama.Message(
        role="assistant",
        content="".join(message.content or "" for message in messages),
        thinking="".join(message.thinking or "" for message in messages),
        tool_calls=[call for message in messages for call in message.tool_calls or ()],
    )


def answer(message: ollama.Message, ask: Ask) -> Answer:
    text = message.content or ""
    return Answer(
        text=text,
        thinking=message.thinking or "",
        value=Weather.model_validate_json(text) if ask.shape else None,
    )
