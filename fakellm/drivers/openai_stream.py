"""Runs the `openai` package: the helper `chat.completions.stream()`, which adds up the chunks itself.

`python -m fakellm.drivers.openai_stream` starts it.
"""

from __future__ import annotations

from typing import Any

import openai

from fakellm.drivers.loop import Result, run, usage

CLIENT = openai.OpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    parameters = {key: value for key, value in request.items() if key != "stream"}
    with CLIENT.with_options(base_url=base_url, timeout=timeout).chat.completions.stream(**parameters) as stream:
        completion = stream.get_final_completion()
    choices = [_choice(choice) for choice in completion.choices]
    several = {"choices": choices} if len(choices) > 1 else {}
    return {**(choices[0] if choices else {"content": ""}), "usage": usage(completion.usage), **several}


def _choice(choice: Any) -> Result:
    calls = [call.function for call in choice.message.tool_calls or ()]
    return {
        "content": choice.message.content or "",
        "refusal": choice.message.refusal or "",
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
        "finish_reason": choice.finish_reason,
    }


if __name__ == "__main__":
    run(answer)
