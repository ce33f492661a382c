"""Runs the `anthropic` package: the helper `messages.stream()`, which adds up the events itself.

`python -m fakellm.drivers.anthropic_stream` starts it; it is for `fakellm fuzz --api messages`.
"""

from __future__ import annotations

import json
from typing import Any

import anthropic

from fakellm.drivers.loop import Result, run

CLIENT = anthropic.Anthropic(base_url="http://comes-with-each-case", api_key="any", max_retries=0)

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    parameters = {key: value for key, value in request.items() if key != "stream"}
    client = CLIENT.with_options(base_url=base_url.removesuffix("/v1"), timeout=timeout)
    with client.messages.stream(**parameters) as stream:
        message = stream.get_final_message()
    texts = {"text": "", "thinking": ""}
    calls = []
    for block in message.content:
        if block.type in texts:
            texts[block.type] += getattr(block, block.type)
        elif block.type == "tool_use":
            calls.append({"name": block.name, "arguments": json.dumps(block.input)})
    return {
        "content": texts["text"],
        "reasoning": texts["thinking"],
        "tool_calls": calls,
        "finish_reason": _REASONS.get(message.stop_reason or "", message.stop_reason),
        "usage": _usage(message.usage),
    }


def _usage(usage: Any) -> dict[str, int]:
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    output = usage.output_tokens
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


if __name__ == "__main__":
    run(answer)
