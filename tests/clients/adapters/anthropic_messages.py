"""Anthropic's SDK, on the Messages API."""

from __future__ import annotations

from typing import Any

import anthropic

from tests.clients.adapters import PARAMETERS, QUESTION, Answer, Ask, Turns, Weather, called, converse, converse_async


class AnthropicMessages:
    def ask(self, ask: Ask, stream: bool) -> Answer:
        with anthropic.Anthropic() as client:

            def send(fields: dict[str, Any]) -> Any:
                if not stream:
                    return (client.messages.parse if ask.shape else client.messages.create)(**fields)
                with client.messages.stream(**fields) as events:
                    return events.get_final_message()

            return converse(turns(ask), send)

    async def ask_async(self, ask: Ask, stream: bool) -> Answer:
        async with anthropic.AsyncAnthropic() as client:

            async def send(fields: dict[str, Any]) -> Any:
                if not stream:
                    return await (client.messages.parse if ask.shape else client.messages.create)(**fields)
                async with client.messages.stream(**fields) as events:
                    return await events.get_final_message()

            return await converse_async(turns(ask), send)

    def leave(self) -> str:
        with anthropic.Anthropic() as client, client.messages.stream(**fields_of(Ask())) as stream:
            return next(stream.text_stream)

    async def leave_async(self) -> str:
        async with anthropic.AsyncAnthropic() as client, client.messages.stream(**fields_of(Ask())) as stream:
            return await anext(stream.text_stream)


def fields_of(ask: Ask) -> dict[str, Any]:
    messages = [{"role": "user", "content": QUESTION}]
    fields: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 2048, "messages": messages}
    if ask.tool:
        fields["tools"] = [{"name": "temperature", "input_schema": PARAMETERS}]
    if ask.shape:
        fields["output_format"] = Weather
    if ask.thinks:
        fields["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    return fields


def turns(ask: Ask) -> Turns:
    fields = fields_of(ask)
    while True:
        message = yield fields
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            return answer(message, ask)
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": called(call.input)} for call in calls]
        added = [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
        fields = fields | {"messages": [*fields["messages"], *added]}


def answer(message: Any, ask: Ask) -> Answer:
    return Answer(
        text="".join(block.text for block in message.content if block.type == "text"),
        thinking="".join(block.thinking for block in message.content if block.type == "thinking"),
        value=message.parsed_output if ask.shape else None,
    )
