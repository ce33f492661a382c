"""Runs the `ollama` package: `Client.chat(stream=True)`, its parts added up by hand.

`python -m fakellm.drivers.ollama_chat` starts it; it is for `fakellm fuzz --api ollama`.
"""

from __future__ import annotations

from typing import Any

import ollama

from fakellm.drivers.loop import Result, run


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    found: Result = {"content": "", "reasoning": "", "tool_calls": [], "finish_reason": None, "usage": None}
    with ollama.Client(host=base_url, timeout=timeout) as client:
        for part in client.chat(**request):
            message = part.message
            found["content"] += message.content or ""
            found["reasoning"] += message.thinking or ""
            calls = (call.function for call in message.tool_calls or ())
            found["tool_calls"] += [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]
            if part.done:
                found["finish_reason"] = part.done_reason
                found["usage"] = _usage(part) if part.total_duration is not None else None
    return found


def _usage(part: Any) -> dict[str, int]:
    counts = (part.prompt_eval_count or 0, part.eval_count or 0)  # a zero is left out
    return {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": sum(counts)}


if __name__ == "__main__":
    run(answer)
