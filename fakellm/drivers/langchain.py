"""Runs `langchain-openai`: `ChatOpenAI.stream()`, its chunks added up with `+`.

`python -m fakellm.drivers.langchain` starts it.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_openai import ChatOpenAI

from fakellm.drivers.loop import Result, run


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    model = ChatOpenAI(
        model=request["model"], base_url=base_url, api_key="any", max_retries=0, timeout=timeout, stream_usage=True
    )
    bound = model.bind_tools(request["tools"]) if request.get("tools") else model
    whole: Any = None
    for chunk in bound.stream(request["messages"]):
        whole = chunk if whole is None else whole + chunk
    if whole is None:
        return {"content": "", "finish_reason": None}
    used = whole.usage_metadata
    return {
        "content": whole.text,  # the text of a content that is a list of parts too
        "refusal": whole.additional_kwargs.get("refusal") or "",
        # Its `invalid_tool_calls` are left out: a user would not run them.
        "tool_calls": [{"name": call["name"], "arguments": json.dumps(call["args"])} for call in whole.tool_calls],
        "finish_reason": whole.response_metadata.get("finish_reason"),
        "usage": used and {name: used[key] for name, key in _USAGE.items()},
    }


_USAGE = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}


if __name__ == "__main__":
    run(answer)
