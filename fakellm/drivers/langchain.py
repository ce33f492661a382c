"""Runs LangChain: `stream()` of a chat model, its chunks added up with `+`.

`python -m fakellm.drivers.langchain` starts it with `langchain-openai`. With the argument `responses`, it is for this
API; with `messages`, `gemini` or `ollama`, it runs `langchain-anthropic`, `langchain-google-genai` or
`langchain-ollama`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from fakellm.drivers.loop import Result, run
from fakellm.drivers.request import functions, prompt

API = sys.argv[1] if len(sys.argv) > 1 else "chat"


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    model = _model(request.get("model", "fakellm"), base_url, timeout)
    tools = [{"type": "function", "function": function} for function in functions(request)]
    bound = model.bind_tools(tools) if tools else model
    whole: Any = None
    for chunk in bound.stream(prompt(request)):
        whole = chunk if whole is None else whole + chunk
    if whole is None:
        return {"content": "", "finish_reason": None}
    used = whole.usage_metadata
    return {
        "content": whole.text,  # the text of a content that is a list of parts too
        "refusal": _refusal(whole),
        # Its `invalid_tool_calls` are left out: a user would not run them.
        "tool_calls": [{"name": call["name"], "arguments": json.dumps(call["args"])} for call in whole.tool_calls],
        "finish_reason": _finish_reason(whole),
        "usage": used and {name: used[key] for name, key in _USAGE.items()} | _without_thoughts(used),
        **({"reasoning": _reasoning(whole)} if API in _REASONING else {}),
    }


def _model(name: str, base_url: str, timeout: float) -> Any:
    """The chat model of the API. Only its own package is imported."""
    common = {"model": name, "base_url": base_url}
    limits = {"api_key": "any", "timeout": timeout}
    if API == "messages":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(**common, **limits, max_retries=0)
    if API == "gemini":
        from langchain_google_genai import ChatGoogleGenerativeAI

        return ChatGoogleGenerativeAI(**common, **limits, max_retries=1)  # 0 means as often as Google's SDK does
    if API == "ollama":
        from langchain_ollama import ChatOllama

        return ChatOllama(**common, reasoning=True, client_kwargs={"timeout": timeout})
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(**common, **limits, max_retries=0, stream_usage=True, use_responses_api=API == "responses")


def _finish_reason(whole: Any) -> str | None:
    found = whole.response_metadata
    if API == "responses":
        reason = (found.get("incomplete_details") or {}).get("reason")
        return _REASONS.get(reason, reason) if reason else "stop" if found.get("status") == "completed" else None
    names = ("finish_reason", "stop_reason", "done_reason")
    last: str | None = next((found[name] for name in names if found.get(name)), None)
    return _REASONS.get(last or "", last)


def _without_thoughts(used: Any) -> dict[str, int]:
    """The tokens of the output as Gemini counts them."""
    if API != "gemini":
        return {}
    return {"completion_tokens": used["output_tokens"] - used.get("output_token_details", {}).get("reasoning", 0)}


def _refusal(whole: Any) -> str:
    parts = whole.content if isinstance(whole.content, list) else ()
    found = "".join(part["refusal"] for part in parts if isinstance(part, dict) and part["type"] == "refusal")
    return found or whole.additional_kwargs.get("refusal") or ""


def _reasoning(whole: Any) -> str:
    blocks = (block for block in whole.content_blocks if block["type"] == "reasoning")
    return "".join(block.get("reasoning", "") for block in blocks)


_REASONING = ("messages", "gemini", "ollama")
"""The APIs whose reasoning is reported: of chat's, it reads none, and of that of Responses a summary, which the fuzzer
does not compare."""
_USAGE = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
}


if __name__ == "__main__":
    run(answer)
