"""Adds up raw chunks, as a careful user would.

Knows no client: a chunk is any object with the attributes of OpenAI's.
"""

from __future__ import annotations

from typing import Any

from fakellm.drivers.loop import Result, usage


class Tally:
    """Adds up chunks."""

    def __init__(self) -> None:
        self.choices: dict[int, Result] = {}
        self.usage: Any = None

    def add(self, chunk: Any) -> None:
        self.usage = chunk.usage or self.usage
        for part in chunk.choices or ():
            empty: Result = {"content": "", "reasoning": "", "refusal": "", "tool_calls": {}, "finish_reason": None}
            choice = self.choices.setdefault(part.index, empty)
            choice["finish_reason"] = part.finish_reason or choice["finish_reason"]
            if part.delta:
                _extend(choice, part.delta)

    def result(self) -> Result:
        choices = [self.choices[index] for index in sorted(self.choices)]
        for choice in choices:
            choice["tool_calls"] = [choice["tool_calls"][index] for index in sorted(choice["tool_calls"])]
        first = choices[0] if choices else {"content": "", "finish_reason": None}
        return {**first, "usage": usage(self.usage), **({"choices": choices} if len(choices) > 1 else {})}


def _get(delta: Any, key: str) -> Any:
    """A key that is not in OpenAI's own schema."""
    return getattr(delta, key, None)


def _extend(choice: Result, delta: Any) -> None:
    choice["content"] += delta.content or ""
    choice["refusal"] += _get(delta, "refusal") or ""
    thoughts = "".join(each.get("text") or each.get("summary") or "" for each in _get(delta, "reasoning_details") or ())
    choice["reasoning"] += _get(delta, "reasoning_content") or _get(delta, "reasoning") or thoughts
    calls = choice["tool_calls"]
    for piece in delta.tool_calls or ():
        index = piece.index if piece.index is not None else len(calls) - (not piece.id)
        call = calls.setdefault(index, {"name": "", "arguments": ""})
        if piece.function:
            call["name"] = call["name"] or piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""
