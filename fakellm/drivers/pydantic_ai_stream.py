"""Runs `pydantic-ai`: `model_request_stream_sync`, on which its agents are built.

`python -m fakellm.drivers.pydantic_ai_stream` starts it.
"""

from __future__ import annotations

import json
from typing import Any

import openai
from pydantic_ai import ModelRequest
from pydantic_ai.direct import model_request_stream_sync
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from fakellm.drivers.loop import Result, run

CLIENT = openai.AsyncOpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    provider = OpenAIProvider(openai_client=CLIENT.with_options(base_url=base_url))
    functions = [tool["function"] for tool in request.get("tools") or ()]
    tools = [
        ToolDefinition(name=function["name"], parameters_json_schema=function.get("parameters") or {"type": "object"})
        for function in functions
    ]
    with model_request_stream_sync(
        OpenAIChatModel(request["model"], provider=provider),
        [ModelRequest.user_text_prompt(request["messages"][-1]["content"])],
        model_settings={"timeout": timeout},
        model_request_parameters=ModelRequestParameters(function_tools=tools),
    ) as stream:
        for _ in stream:
            pass
        return _result(stream.response)


def _result(response: Any) -> Result:
    calls = [(part.tool_name, part.args) for part in response.parts if part.part_kind == "tool-call"]
    used = response.usage
    return {
        "content": "".join(part.content for part in response.parts if part.part_kind == "text"),
        "reasoning": "".join(part.content for part in response.parts if part.part_kind == "thinking"),
        "tool_calls": [
            {"name": name, "arguments": args if isinstance(args, str) else json.dumps(args or {})}
            for name, args in calls
        ],
        "finish_reason": "tool_calls" if response.finish_reason == "tool_call" else response.finish_reason,
        # Its counts are zero if no usage was sent; `unmeasured_requests` shows that there are none.
        "usage": None
        if used.unmeasured_requests
        else {
            "prompt_tokens": used.input_tokens,
            "completion_tokens": used.output_tokens,
            "total_tokens": used.total_tokens,
        },
    }


if __name__ == "__main__":
    run(answer)
