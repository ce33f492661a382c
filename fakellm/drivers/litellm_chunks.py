"""Runs `litellm`: `completion(stream=True)`, its chunks added up with `stream_chunk_builder`.

`python -m fakellm.drivers.litellm_chunks` starts it. With the argument `messages` or `gemini`, it is for this API.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from fakellm.drivers.loop import Result, run, usage
from fakellm.drivers.request import functions, prompt

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise importing it fetches a price list

import litellm

litellm.suppress_debug_info = True  # otherwise every error prints where to get help

API = sys.argv[1] if len(sys.argv) > 1 else "chat"
_PROVIDERS = {"chat": "openai", "messages": "anthropic", "gemini": "gemini"}
_VERSION = {"gemini": "/v1beta"}
"""What `litellm` expects at the end of a base URL, where it adds no version itself."""


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    parameters = request if API == "chat" else _in_chat(request)
    name = f"{_PROVIDERS[API]}/{parameters['model']}"
    stream = litellm.completion(
        **{**parameters, "model": name},
        base_url=base_url + _VERSION.get(API, ""),
        api_key="any",
        timeout=timeout,
        max_retries=0,
        num_retries=0,
    )
    whole: Any = litellm.stream_chunk_builder(list(stream), messages=parameters["messages"])
    if whole is None:
        return {"content": "", "finish_reason": None}
    choices = [_choice(choice) for choice in whole.choices]
    several = {"choices": choices} if len(choices) > 1 else {}
    return {**choices[0], "usage": _usage(getattr(whole, "usage", None)), **several}


def _usage(tokens: Any) -> dict[str, int | None] | None:
    """The usage; for Gemini, the tokens of the output as Gemini counts them, without thoughts."""
    counts = usage(tokens)
    details = getattr(tokens, "completion_tokens_details", None)
    if counts and API == "gemini" and details and details.text_tokens is not None:
        counts["completion_tokens"] = details.text_tokens
    return counts


def _in_chat(request: dict[str, Any]) -> dict[str, Any]:
    """The request in chat's form, which `litellm` translates."""
    tools = [{"type": "function", "function": function} for function in functions(request)]
    messages = [{"role": "user", "content": prompt(request)}]
    body = {"model": request.get("model", "fakellm"), "messages": messages, "stream": True}
    return {**body, "stream_options": {"include_usage": True}, **({"tools": tools} if tools else {})}


def _choice(choice: Any) -> Result:
    calls = [call.function for call in choice.message.tool_calls or ()]
    return {
        "content": choice.message.content or "",
        "reasoning": getattr(choice.message, "reasoning_content", None) or "",
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
        "finish_reason": choice.finish_reason,
    }


if __name__ == "__main__":
    run(answer)
