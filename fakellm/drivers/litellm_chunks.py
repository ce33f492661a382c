"""Runs `litellm`: `completion(stream=True)`, its chunks added up with `stream_chunk_builder`.

`python -m fakellm.drivers.litellm_chunks` starts it.
"""

from __future__ import annotations

import os
from typing import Any

from fakellm.drivers.loop import Result, run, usage

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise importing it fetches a price list

import litellm

litellm.suppress_debug_info = True  # otherwise every error prints where to get help


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    parameters = {**request, "model": f"openai/{request['model']}"}
    stream = litellm.completion(
        **parameters, base_url=base_url, api_key="any", timeout=timeout, max_retries=0, num_retries=0
    )
    whole: Any = litellm.stream_chunk_builder(list(stream), messages=request["messages"])
    if whole is None:
        return {"content": "", "finish_reason": None}
    choices = [_choice(choice) for choice in whole.choices]
    several = {"choices": choices} if len(choices) > 1 else {}
    return {**choices[0], "usage": usage(getattr(whole, "usage", None)), **several}


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
