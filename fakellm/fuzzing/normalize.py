"""What counts when two answers are compared. Owns the normal form, of results and of completions alike.

Texts count by their code points, arguments as JSON, where none are ``{}``, calls in the order of their index, and the
last finish reason and usage. Ids, times, fingerprints and how many events there were do not count.
"""

from __future__ import annotations

import json
from typing import Any

from fakellm.apis.chat.dialect import Dialect
from fakellm.fuzzing.clients.result import Answer, Result
from fakellm.model.completion import Choice, Completion

FIELDS = ("content", "reasoning", "refusal", "tool_calls", "finish_reason", "usage", "choices")
Normal = dict[str, Any]


def of_completion(completion: Completion, dialect: Dialect) -> Normal:
    """The normal form of what was said."""
    choices = [_of_choice(choice) for choice in completion.choices] or [_of_choice(Choice())]
    usage = completion.usage
    tokens = usage and (usage.prompt, usage.completion, dialect.total(usage) if usage.total is None else usage.total)
    return {**choices[0], "usage": tokens or None, "choices": choices}


def of_result(result: Result) -> Normal:
    """The normal form of what a client returned."""
    usage = result.usage
    tokens = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) if usage else None
    first = _of_answer(result)
    choices = [_of_answer(choice) for choice in result.choices or ()] or [first]
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
        "finish_reason": choice.finish_reason,
    }


def _of_answer(answer: Answer) -> Normal:
    return {
        "content": answer.content or "",
        "reasoning": answer.reasoning or "",
        "refusal": answer.refusal or "",
        "tool_calls": [(call.name or "", arguments(call.arguments)) for call in answer.tool_calls or ()],
        "finish_reason": answer.finish_reason or None,
    }


def arguments(value: str | dict[str, Any] | None) -> str:
    """Arguments as JSON in one spelling, none as ``{}``; text that is no JSON as it is."""
    if value is None or (isinstance(value, str) and not value.strip()):
        value = {}
    elif isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    return json.dumps(_whole(value), sort_keys=True, ensure_ascii=False)


def _whole(value: Any) -> Any:
    """The value with 1.0 as 1: JSON has one kind of number. Beyond 2**53 a float says that digits were lost."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def repaired(text: str) -> str:
    """The text with the halves of surrogate pairs that were cut put together again."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
