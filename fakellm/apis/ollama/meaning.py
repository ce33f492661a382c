"""What Ollama's API can express: its grammar, and the part of any completion that it can send.

A reply has at most one thinking, one text, and the tool calls after them, in whatever order they arrive; a message in
its history keeps no other order either. Arguments are a JSON object on the wire. A line may have all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from msgspec.structs import replace

from fakellm.base.json_text import dumps
from fakellm.model.blocks import (
    Block,
    Choice,
    Completion,
    Refusal,
    Stop,
    Text,
    Thinking,
    Token,
    ToolCall,
    Usage,
    with_own,
)
from fakellm.streaming.grammar import Field, Grammar, Joins

NAME = "ollama"

METRICS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)
"""The keys of a reply's metrics in their order; durations are in nanoseconds. A zero is left out."""
COUNTS = ("prompt_eval_count", "eval_count")
OWN = ("context", *(key for key in METRICS if key not in COUNTS))
"""What only this API has beside the token counts: durations, and the ids of the conversation's tokens."""

_FIELDS: dict[type, tuple[Field, ...]] = {
    Thinking: (Field("parts.0"),),
    Text: (Field("text"),),
    ToolCall: (Field("arguments", "whole", ride=True),),
}
_RANKS = (Thinking, Text, ToolCall)

GRAMMAR = Grammar(
    fields=lambda block: _FIELDS.get(type(block), ()),
    choices=1,
    overlap="ordered",
    share="ascending",
    opening=lambda block: "must",
    joins=Joins(start="may", finish="may", usage="must", end="must"),
    rank=lambda block: _RANKS.index(type(block)) if type(block) in _RANKS else len(_RANKS),
)


def expressible(completion: Completion, ids: bool) -> Completion:
    """The part of a completion that can be sent; idempotent. `ids`: whether calls have ids."""
    usage = completion.usage
    if usage is not None:
        usage = Usage(usage.input, usage.output, own=with_own({}, NAME, own_of(usage)))
    return Completion(tuple(_choice(choice, ids) for choice in completion.choices[:1]), usage)


def own_of(usage: Usage) -> dict[str, Any]:
    """What only this API has in a usage: values that are not zero, under known keys."""
    return {key: value for key, value in usage.own.get(NAME, {}).items() if key in OWN and value}


def message(
    thinking: str, content: str, calls: tuple[ToolCall, ...], finish: Stop | None, tokens: tuple[Token, ...] = ()
) -> Choice:
    """The choice of a message: a block for each part that is not empty."""
    blocks: list[Block] = []
    if thinking:
        blocks.append(Thinking((thinking,)))
    if content:
        blocks.append(Text(content, tokens))
    return Choice((*blocks, *calls), finish)


def _choice(choice: Choice, ids: bool) -> Choice:
    texts = [block for block in choice.blocks if isinstance(block, (Text, Refusal))]
    tokens = tuple(token for block in texts for token in block.logprobs)
    content = "".join(block.text for block in texts)
    finish = choice.finish and choice.finish.reason
    cut = finish == "length"  # a call that is not whole is never parsed, so it is not a call
    calls = tuple(_call(call, ids) for call in choice.tool_calls if not cut or is_object(call.arguments))
    stop = None if not finish else Stop("stop" if finish == "tool_calls" else finish)
    return message(choice.reasoning, content, calls, stop, tokens)


def _call(call: ToolCall, ids: bool) -> ToolCall:
    return ToolCall(call.id if ids else "", call.name, arguments_text(arguments_value(call.arguments)))


def is_object(arguments: str) -> bool:
    """Whether arguments can be sent as they must be: as a JSON object."""
    return isinstance(arguments_value(arguments), dict)


def arguments_value(arguments: str) -> Any:
    """Arguments as they are sent: an object. If they are not one, as a fault wants it, they are sent as a string."""
    if not arguments.strip():
        return {}
    try:
        value = json.loads(arguments, parse_constant=_refused)
        json.dumps(value, allow_nan=False)  # 1e400 is infinite
        return value if isinstance(value, dict) else arguments
    except (ValueError, RecursionError):
        pass
    return arguments


def arguments_text(value: Any) -> str:
    """The text of arguments that were sent: compact JSON, or the string."""
    return value if isinstance(value, str) else dumps(value)


def usage_of(values: Mapping[str, Any]) -> Usage | None:
    """The usage in a line; None if it has no metrics."""
    numbers = {key: int(values[key]) for key in METRICS if _is_number(values.get(key))}
    context = values.get("context")
    own: dict[str, Any] = {"context": context} if isinstance(context, list) and context else {}
    own |= {key: value for key, value in numbers.items() if key not in COUNTS and value}
    if not numbers and not own:
        return None
    return Usage(numbers.get("prompt_eval_count", 0), numbers.get("eval_count", 0), own=with_own({}, NAME, own))


def with_values(usage: Usage, values: Mapping[str, Any]) -> Usage:
    """The usage with these values of this API."""
    return replace(usage, own=with_own(usage.own, NAME, values))


def _is_number(value: Any) -> bool:
    return type(value) is int or (isinstance(value, float) and isfinite(value))


def _refused(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
