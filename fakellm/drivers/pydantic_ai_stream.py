"""Runs `pydantic-ai`: `model_request_stream_sync`, on which its agents are built.

`python -m fakellm.drivers.pydantic_ai_stream` starts it. With the argument `messages` or `responses`, it is for this
API.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anthropic
import openai
from pydantic_ai import ModelRequest
from pydantic_ai.direct import model_request_stream_sync
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from fakellm.drivers.loop import Result, run
from fakellm.drivers.request import functions, prompt

API = sys.argv[1] if len(sys.argv) > 1 else "chat"
OPENAI = openai.AsyncOpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)
ANTHROPIC = anthropic.AsyncAnthropic(base_url="http://given-with-each-case", api_key="any", max_retries=0)


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    tools = [
        ToolDefinition(name=function["name"], parameters_json_schema=function["parameters"])
        for function in functions(request)
    ]
    with model_request_stream_sync(
        _model(base_url, request["model"]),
        [ModelRequest.user_text_prompt(prompt(request))],
        model_settings={"timeout": timeout},
        model_request_parameters=ModelRequestParameters(function_tools=tools),
    ) as stream:
        for _ in stream:
            pass
        return _result(stream.response)


def _model(base_url: str, name: str) -> Model:
    if API == "messages":
        anthropic_client = ANTHROPIC.with_options(base_url=base_url)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=anthropic_client))
    kind = OpenAIResponsesModel if API == "responses" else OpenAIChatModel
    return kind(name, provider=OpenAIProvider(openai_client=OPENAI.with_options(base_url=base_url)))


def _result(response: Any) -> Result:
    calls = [(part.tool_name, part.args) for part in response.parts if part.part_kind == "tool-call"]
    used = response.usage
    return {
        "content": _text(response, "text"),
        **({} if API == "responses" else {"reasoning": _text(response, "thinking")}),  # a summary is not compared
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


def _text(response: Any, kind: str) -> str:
    return "".join(part.content for part in response.parts if part.part_kind == kind)


if __name__ == "__main__":
    run(answer)
