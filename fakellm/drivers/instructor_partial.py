"""Runs `instructor`: `create_partial` with a model that accepts any field.

It reads the arguments of one call of the only tool; if a request has no tool or several, it reports nothing.

`python -m fakellm.drivers.instructor_partial` starts it.
"""

from __future__ import annotations

from typing import Any

import instructor
import openai
from pydantic import ConfigDict, create_model

from fakellm.drivers.loop import Result, run

CLIENT = openai.OpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    tools = request.get("tools", [])
    if len(tools) != 1:
        return {}
    name = tools[0]["function"]["name"]
    model: Any = create_model(name, __config__=ConfigDict(extra="allow"))
    client = instructor.from_openai(CLIENT.with_options(base_url=base_url, timeout=timeout))
    views: list[Any] = list(
        client.create_partial(model=request["model"], messages=request["messages"], response_model=model, max_retries=0)
    )
    return {"tool_calls": [{"name": name, "arguments": view.model_dump_json()} for view in views[-1:]]}


if __name__ == "__main__":
    run(answer)
