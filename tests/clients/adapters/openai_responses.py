"""OpenAI's SDK, on the Responses API."""

from __future__ import annotations

from typing import Any

import openai

from tests.clients.adapters import PARAMETERS, QUESTION, Answer, Ask, Turns, Weather, called, converse, converse_async


class OpenAIResponses:
    def ask(self, ask: Ask, stream: bool) -> Answer:
        with openai.OpenAI() as client:

            def send(fields: dict[str, Any]) -> Any:
                if not stream:
                    return client.responses.parse(**fields)
                with client.responses.stream(**fields) as events:
                    return events.get_final_response()

            return converse(turns(ask), send)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        async with openai.AsyncOpenAI() as client:

            async def send(fields: dict[str, Any]) -> Any:
                if not stream:
                    return await client.responses.parse(**fields)
                async with client.responses.stream(**fields) as events:
                    return await events.get_final_response()

            return await converse_async(turns(ask), send)

    def leave(self) -> str:
        with openai.OpenAI() as client, client.responses.create(**fields_of(Ask()), stream=True) as stream:
            return str(next(event.delta for event in stream if event.type == "response.output_text.delta"))

    async def leave_async(self) -> str:
        async with openai.AsyncOpenAI() as client:
            stream = await client.responses.create(**fields_of(Ask()), stream=True)
            text = await anext(event.delta async for event in stream if event.type == "response.output_text.delta")
            await stream.close()
            return str(text)


def fields_of(ask: Ask) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": "gpt-5", "input": [{"role": "user", "content": QUESTION}]}
    if ask.tool:
        fields["tools"] = [{"type": "function", "name": "temperature", "parameters": PARAMETERS, "strict": True}]
    if ask.shape:
        fields["text_format"] = Weather
    if ask.thinks:
        fields["reasoning"] = {"effort": "high", "summary": "auto"}
    return fields


def turns(ask: Ask) -> Turns:
    fields = fields_of(ask)
    while True:
        response = yield fields
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return answer(response, ask)
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": called(call.arguments)}
            for call in calls
        ]
        fields = fields | {"input": [*fields["input"], *response.output, *results]}


def answer(response: Any, ask: Ask) -> Answer:
    contents = [content for item in response.output if item.type == "message" for content in item.content]
    refusals = [content.refusal for content in contents if content.type == "refusal"]
    summaries = [summary.text for item in response.output if item.type == "reasoning" for summary in item.summary]
    return Answer(
        text=response.output_text + "".join(refusals),
        thinking="".join(summaries),
        value=response.output_parsed if ask.shape else None,
    )
