"""Reads a stream's habits from its chunks: where role, finish and usage are, and what shares a chunk.

Knows no JSON and no dialect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fakellm.apis.chat.chunk import ZEROS, Chunk, ChunkChoice, Delta, ToolCallDelta, text_or_empty
from fakellm.streaming.division import LATE


def observed(chunks: Sequence[Chunk]) -> dict[str, Any]:
    """The fields of a Variation that can be read from the chunks, by name."""
    parts = [part for chunk in chunks for part in chunk.choices if part.index == 0]
    found: dict[str, Any] = {
        "role": _role(parts),
        "together": _together(chunks),
        "finish": _finish(parts),
        "usage": _usage(chunks),
        "usage_before": "zeros" if any(chunk.usage is ZEROS for chunk in chunks) else None,
        "usage_choices": next((chunk.no_choices for chunk in chunks if chunk.usage and not chunk.choices), None),
    }
    calls = [call for part in parts if isinstance(part.delta.tool_calls, tuple) for call in part.delta.tool_calls]
    if spelled := {**_late(calls), **({"index": "from_one"} if any(call.index == 1 for call in calls[:1]) else {})}:
        found["calls"] = spelled
    return {name: value for name, value in found.items() if value is not None}


def kinds_in(delta: Delta) -> int:
    """How many kinds of content a delta has: reasoning, text, refusal, calls, fragments."""
    texts = (text_or_empty(delta.reasoning), text_or_empty(delta.content), text_or_empty(delta.refusal))
    return sum(map(bool, (*texts, delta.tool_calls, delta.fragments)))


def _late(calls: Sequence[ToolCallDelta]) -> dict[str, str]:
    """Which of the id and the name of a call no first piece has, but a later one."""
    first: dict[object, ToolCallDelta] = {}
    for call in calls:
        first.setdefault(call.index, call)
    return {
        key: "late"
        for key in LATE
        if all(getattr(call, key) is None for call in first.values())
        and any(text_or_empty(getattr(call, key)) for call in calls)
    }


def _role(parts: Sequence[ChunkChoice]) -> str | None:
    parts = [part for number, part in enumerate(parts) if not number or kinds_in(part.delta) or part.finish_reason]
    with_role = [number for number, part in enumerate(parts) if part.delta.role]
    if not with_role:
        return "never" if parts else None
    if len(with_role) == len(parts) and len(parts) > 1:
        return "every" if kinds_in(parts[0].delta) else "repeated"
    texts = [number for number, part in enumerate(parts) if not part.delta.tool_calls]
    if with_role == texts and len(texts) > 1:
        return "texts"
    first = parts[with_role[0]].delta
    return ("call" if first.tool_calls else "first") if kinds_in(first) else "alone"


def _together(chunks: Sequence[Chunk]) -> tuple[str, ...] | None:
    parts = [part for chunk in chunks for part in chunk.choices]
    pieces = [part.delta.tool_calls for part in parts if isinstance(part.delta.tool_calls, tuple)]
    shared = {
        "choices": any(len(chunk.choices) > 1 for chunk in chunks),
        "calls": any(len({call.index for call in calls}) > 1 or _unnumbered(calls) > 1 for calls in pieces),
        "parts": any(kinds_in(part.delta) > 1 for part in parts),
    }
    return tuple(name for name, found in shared.items() if found)


def _unnumbered(calls: Sequence[ToolCallDelta]) -> int:
    return len({call.id for call in calls if call.id and not isinstance(call.index, int)})


def _finish(parts: Sequence[ChunkChoice]) -> str | None:
    ends = [part for part in parts if part.finish_reason]
    if not ends:
        return None
    if len(ends) > 1:
        return "calls" if any(part.delta.tool_calls for part in ends[:-1]) else "twice"
    if kinds_in(ends[0].delta):
        return "last"
    return "early" if kinds_in(parts[-1].delta) else "alone"


def _usage(chunks: Sequence[Chunk]) -> str | None:
    """Where usage is; None if there is none."""
    with_usage = [chunk for chunk in chunks if chunk.usage]
    if not with_usage:
        return None
    if len(with_usage) == len(chunks) and len(chunks) > 2 and chunks[-1].choices:
        return "every" if all(chunk.usage == with_usage[-1].usage for chunk in with_usage) else "running"
    last = with_usage[-1]
    if not last.choices:
        return "both" if len(with_usage) > 1 else "own"
    return "finish" if last.choices[0].finish_reason else "after"
