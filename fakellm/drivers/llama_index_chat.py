"""Runs `llama-index-llms-openai-like`: `OpenAILike.stream_chat`, and the calls that it finds in the last response.

`python -m fakellm.drivers.llama_index_chat` starts it.
"""

from __future__ import annotations

import json
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from fakellm.drivers.loop import Result, run, usage


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    model = OpenAILike(
        model=request["model"],
        api_base=base_url,
        api_key="any",
        max_retries=0,
        timeout=timeout,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    options = {key: value for key, value in request.items() if key in ("tools", "stream_options")}
    messages = [ChatMessage(role=each["role"], content=each["content"]) for each in request["messages"]]
    response: Any = None
    used = None
    for response in model.stream_chat(messages, **options):
        used = response.raw.usage or used
    if response is None:
        return {"content": ""}
    calls = model.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    thoughts = [block.content for block in response.message.blocks if block.block_type == "thinking"]
    return {
        "content": response.message.content or "",
        "reasoning": "".join(thoughts),
        "tool_calls": [{"name": call.tool_name, "arguments": json.dumps(call.tool_kwargs)} for call in calls],
        "usage": usage(used),
    }


if __name__ == "__main__":
    run(answer)
