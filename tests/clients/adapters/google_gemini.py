"""Google's SDK, on the Gemini API. It calls the functions itself, until the answer is a text."""

from __future__ import annotations

from typing import Any

from google import genai
from google.genai import types

from tests.clients.adapters import QUESTION, Answer, Ask, Weather, temperature

MODEL = "gemini-2.5-flash"


class GoogleGemini:
    def ask(self, ask: Ask, stream: bool) -> Answer:
        with genai.Client() as client:
            if not stream:
                return answer([client.models.generate_content(**fields_of(ask))])
            return answer([*client.models.generate_content_stream(**fields_of(ask))])

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        async with genai.Client().aio as client:
            if not stream:
                return answer([await client.models.generate_content(**fields_of(ask))])
            chunks = await client.models.generate_content_stream(**fields_of(ask))
            return answer([chunk async for chunk in chunks])

    def leave(self) -> str:
        with genai.Client() as client:
            chunks: Any = client.models.generate_content_stream(**fields_of(Ask()))
            text = next(chunks).text
            chunks.close()
            return str(text)

    async def leave_async(self) -> str:
        async with genai.Client().aio as client:
            chunks: Any = await client.models.generate_content_stream(**fields_of(Ask()))
            text = (await anext(chunks)).text
            await chunks.aclose()
            return str(text)


def fields_of(ask: Ask) -> dict[str, Any]:
    config = types.GenerateContentConfig()
    if ask.tool:
        config.tools = [temperature]
    if ask.shape:
        config.response_mime_type, config.response_schema = "application/json", Weather
    if ask.thinks:
        config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    return {"model": MODEL, "contents": QUESTION, "config": config}


def answer(chunks: list[Any]) -> Answer:
    """The answer in a response, or in the chunks of a stream, of which those before the last call are not part."""
    candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
    parts = [part for each in candidates if each.content for part in each.content.parts or ()]
    text = "".join(part.text for part in parts if part.text and not part.thought)
    return Answer(
        text=text,
        thinking="".join(part.text for part in parts if part.text and part.thought),
        value=chunks[0].parsed if len(chunks) == 1 else parsed(text),
    )


def parsed(text: str) -> Weather | None:
    return Weather.model_validate_json(text) if text.startswith("{") else None
