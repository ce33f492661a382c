"""The `anthropic` package as a client for the fuzzer: its helper `messages.stream()`, which adds up the events."""

from __future__ import annotations

import json
from typing import Any

import anthropic

CLIENT = anthropic.Anthropic(base_url="http://comes-with-each-case", api_key="any", max_retries=0)
TIMEOUT = 1.0
"""Seconds without a byte after which it gives up."""

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def read_stream(base_url: str, request: dict[str, Any]) -> dict[str, Any]:
    parameters = {key: value for key, value in request.items() if key != "stream"}
    client = CLIENT.with_options(base_url=base_url.removesuffix("/v1"), timeout=TIMEOUT)
    with client.messages.stream(**parameters) as stream:
        return result(stream.get_final_message())


def result(message: Any) -> dict[str, Any]:
    """What a message amounts to, in the words of chat."""
    texts = {"text": "", "thinking": ""}
    calls = []
    for block in message.content:
        if block.type in texts:
            texts[block.type] += getattr(block, block.type)
        elif block.type == "tool_use":
            calls.append({"name": block.name, "arguments": json.dumps(block.input)})
    usage = message.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return {
        "content": texts["text"],
        "reasoning": texts["thinking"],
        "tool_calls": calls,
        "finish_reason": _REASONS.get(message.stop_reason, message.stop_reason),
        "usage": {"prompt_tokens": prompt, "completion_tokens": usage.output_tokens},
    }
