"""Compares what a client returned with what it should have returned. Owns the normal form of results and completions.

Texts are compared by code points, arguments as JSON (missing ones count as ``{}``), tool calls in the order of their
index, and only the last finish reason and usage count. Ids, times, fingerprints and the number of events do not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fakellm.apis.protocol import Provider
from fakellm.fuzzing.clients.result import Result, ReturnedBlock, ReturnedChoice
from fakellm.model.blocks import Choice, Completion, Refusal, Text, Thinking, ToolCall, Usage, own_value

FIELDS = ("content", "reasoning", "refusal", "tool_calls", "blocks", "finish_reason", "usage", "choices")
Normal = dict[str, Any]
"""A value for each of FIELDS; in `choices`, the normal form of each choice, without `usage` and `choices`."""


def of_completion(completion: Completion, provider: Provider) -> Normal:
    """The normal form of a completion that was sent as this provider sends it."""
    choices = [_of_choice(choice) for choice in completion.choices] or [_of_choice(Choice())]
    usage = completion.usage
    tokens = usage and (usage.input, usage.output, total_of(usage, provider))
    return {**choices[0], "usage": tokens or None, "choices": choices}


def total_of(usage: Usage, provider: Provider) -> int:
    """All the tokens of a usage: the total that chat has of its own, or the provider's usual sum."""
    total: int | None = own_value(usage.own, "chat", "total")
    return provider.total(usage) if total is None else total


def of_result(result: Result) -> Normal:
    """The normal form of what a client returned."""
    usage = result.usage
    tokens = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) if usage else None
    first = _of_returned(result)
    choices = [_of_returned(choice) for choice in result.choices or ()] or [first]
    return {
        **first,
        "usage": tokens if tokens and any(count is not None for count in tokens) else None,
        "choices": choices,
    }


def _of_choice(choice: Choice) -> Normal:
    return {
        "content": choice.content,
        "reasoning": choice.reasoning,
        "refusal": choice.refusal,
        "tool_calls": [(call.name, arguments(call.arguments)) for call in choice.tool_calls],
        "blocks": list(_blocks(choice)),
        "finish_reason": choice.finish_reason,
    }


def _blocks(choice: Choice) -> Iterator[tuple[str, ...]]:
    """The blocks that are not empty, in their order."""
    for block in choice.blocks:
        match block:
            case ToolCall():
                yield "tool_call", block.name, arguments(block.arguments)
            case Thinking(parts) if any(parts):
                yield "thinking", "".join(parts)
            case Text(text) | Refusal(text) if text:
                yield "text" if isinstance(block, Text) else "refusal", text


def _of_returned(choice: ReturnedChoice) -> Normal:
    return {
        "content": choice.content or "",
        "reasoning": choice.reasoning or "",
        "refusal": choice.refusal or "",
        "tool_calls": [(call.name or "", arguments(call.arguments)) for call in choice.tool_calls or ()],
        "blocks": [_of_block(block) for block in choice.blocks or () if block.type == "tool_call" or block.text],
        "finish_reason": choice.finish_reason or None,
    }


def _of_block(block: ReturnedBlock) -> tuple[str, ...]:
    if block.type == "tool_call":
        return block.type, block.name or "", arguments(block.arguments)
    return block.type, block.text or ""


def arguments(value: str | dict[str, Any] | None) -> str:
    """Arguments as JSON in one spelling, missing ones as ``{}``; text that is not valid JSON stays unchanged."""
    if value is None or (isinstance(value, str) and not value.strip()):
        value = {}
    elif isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    return json.dumps(_integral(value), sort_keys=True, ensure_ascii=False)


def _integral(value: Any) -> Any:
    """The value with 1.0 as 1, since JSON has one kind of number. From 2**53 on, a float shows lost digits."""
    if isinstance(value, dict):
        return {key: _integral(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_integral(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def repaired(text: str) -> str:
    """The text with surrogate pairs joined again where they were cut in half."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def difference(expected: Normal, actual: Normal, reported: frozenset[str]) -> str | None:
    """The first field in which the two differ, among those that the client reports; None if they are equal."""
    for field in FIELDS:
        if field not in reported:
            continue
        left, right = expected[field], actual[field]
        if field == "finish_reason" and same_finish(left, right, expected["tool_calls"]):
            continue
        if field == "usage" and left and right:
            right = tuple(own if own is not None else sent for sent, own in zip(left, right, strict=True))
        if field == "choices" and left != right:
            if len(left) == len(right) and all(
                difference(one, other, reported - {"choices", "usage"}) is None
                for one, other in zip(left, right, strict=True)
            ):
                continue
            return field
        if left != right:
            return field
    return None


def same_finish(one: str | None, other: str | None, calls: list[tuple[str, str]]) -> bool:
    """Whether two finish reasons are equivalent: after tool calls, `stop` and `tool_calls` are."""
    return one == other or (bool(calls) and {one, other} == {"stop", "tool_calls"})
