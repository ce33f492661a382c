"""Runs the `google-genai` package: `generate_content_stream`, its chunks added up by hand.

`python -m fakellm.drivers.google_genai_stream` starts it; it is for `fakellm fuzz --api gemini`.
"""

from __future__ import annotations

from typing import Any

from google import genai

from fakellm.drivers.loop import Result, run

_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    options: Any = {"base_url": base_url, "timeout": int(timeout * 1000)}
    config: Any = {**request.get("generationConfig", {}), "tools": request.get("tools")}
    choices: dict[int, Result] = {}
    usage = None
    with genai.Client(api_key="any", http_options=options) as client:
        chunks = client.models.generate_content_stream(model="fakellm", contents=request["contents"], config=config)
        for chunk in chunks:
            counts = chunk.usage_metadata
            usage = counts if counts and counts.total_token_count is not None else usage
            for candidate in chunk.candidates or ():
                _add(choices.setdefault(candidate.index or 0, _empty()), candidate)
    several = {"choices": [choices[index] for index in sorted(choices)]} if len(choices) > 1 else {}
    return {**choices.get(0, _empty()), "usage": usage and _usage(usage), **several}


def _empty() -> Result:
    return {"content": "", "reasoning": "", "tool_calls": [], "finish_reason": None}


def _add(choice: Result, candidate: Any) -> None:
    for part in (candidate.content and candidate.content.parts) or ():
        if part.function_call:
            call = part.function_call
            choice["tool_calls"].append({"name": call.name, "arguments": call.args or {}})
        else:
            choice["reasoning" if part.thought else "content"] += part.text or ""
    if candidate.finish_reason:
        choice["finish_reason"] = _REASONS.get(candidate.finish_reason.name, candidate.finish_reason.name)


def _usage(usage: Any) -> dict[str, int | None]:
    return {
        "prompt_tokens": usage.prompt_token_count,
        "completion_tokens": usage.candidates_token_count or 0,
        "total_tokens": usage.total_token_count,
    }


if __name__ == "__main__":
    run(answer)
