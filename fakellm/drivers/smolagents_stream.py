"""Runs `smolagents`: `OpenAIModel.generate_stream`, its deltas added up with `agglomerate_stream_deltas`.

`python -m fakellm.drivers.smolagents_stream` starts it.
"""

from __future__ import annotations

from typing import Any

from smolagents.models import ChatMessage, OpenAIModel, agglomerate_stream_deltas

from fakellm.drivers.loop import Result, run


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    client = {"max_retries": 0, "timeout": timeout}
    model = OpenAIModel(request["model"], api_base=base_url, api_key="any", client_kwargs=client, retry=False)
    tools = {"tools": request["tools"]} if request.get("tools") else {}
    messages = [ChatMessage.from_dict(message) for message in request["messages"]]
    whole: Any = agglomerate_stream_deltas(list(model.generate_stream(messages, **tools)))
    used = whole.token_usage
    return {
        "content": whole.content or "",
        "tool_calls": [
            {"name": call.function.name, "arguments": call.function.arguments} for call in whole.tool_calls or ()
        ],
        "usage": {
            "prompt_tokens": used.input_tokens,
            "completion_tokens": used.output_tokens,
            "total_tokens": used.total_tokens,
        },
    }


if __name__ == "__main__":
    run(answer)
