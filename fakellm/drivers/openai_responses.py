"""Runs the `openai` package: the helper `responses.stream()`, which adds up the events itself.

`python -m fakellm.drivers.openai_responses` starts it; it is for `fakellm fuzz --api responses`.
"""

from __future__ import annotations

from typing import Any

import openai

from fakellm.drivers.loop import Result, run

CLIENT = openai.OpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)
_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    parameters = {key: value for key, value in request.items() if key != "stream"}
    with CLIENT.with_options(base_url=base_url, timeout=timeout).responses.stream(**parameters) as stream:
        events = list(stream)
    last = events[-1] if events else None
    if last is None or last.type not in ("response.completed", "response.incomplete"):
        raise RuntimeError(f"the response did not end: {last and last.type}")
    return _result(last.response)


def _result(response: Any) -> Result:
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    thoughts = [part for item in response.output if item.type == "reasoning" for part in item.content or ()]
    calls = [item for item in response.output if item.type in ("function_call", "custom_tool_call")]
    reason = response.incomplete_details and response.incomplete_details.reason
    return {
        "content": "".join(part.text for part in parts if part.type == "output_text"),
        "refusal": "".join(part.refusal for part in parts if part.type == "refusal"),
        "reasoning": "".join(part.text for part in thoughts),
        "tool_calls": [{"name": call.name, "arguments": _arguments(call)} for call in calls],
        "finish_reason": _REASONS.get(reason or "", "tool_calls" if calls else "stop"),
        "usage": _usage(response.usage),
    }


def _arguments(call: Any) -> str:
    return str(call.arguments if call.type == "function_call" else call.input)


def _usage(usage: Any) -> dict[str, int] | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


if __name__ == "__main__":
    run(answer)
