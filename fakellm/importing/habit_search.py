"""Searches for the habits that make a stream most like a recorded one: keeps each that makes more chunks equal.

Owns the habits to try and the measure of likeness. Knows no provider by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import msgspec
from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.habits import ChatHabits
from fakellm.apis.chat.writer import CONTENT_KEYS
from fakellm.apis.protocol import Values
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import REASONING_KEYS
from fakellm.importing.read_spelling import data_of, divided
from fakellm.model.blocks import Completion
from fakellm.model.deltas import Batch

# Habits to try, by field of the `stream:` block; a habit that makes no more frames equal is not kept.
_HABITS: dict[str, Sequence[Any]] = {
    "calls": tuple(
        {key: value}
        for key, values in {
            "opening": ("alone", "piece"),
            "arguments": ("empty", "null", "absent"),
            "id": ("once", "repeated", "empty", "null"),
            "name": ("once", "repeated", "empty", "null"),
            "type": ("once", "repeated", "empty", "null"),
            "index": ("given", "absent", "null"),
        }.items()
        for value in values
    ),
    "role": ("alone", "first", "call", "every", "texts", "repeated"),
    "finish": ("alone", "last", "call", "calls", "twice", "early"),
    "usage": ("own", "finish", "both", "after"),
    "unfinished": ("null", "absent", "empty"),
    "usage_before": ("absent", "null"),
    "reasoning": (
        *("reasoning_content", "reasoning", "both", "reasoning_details"),
        ("reasoning_content", "reasoning_details"),
        ("reasoning_content", "reasoning"),
    ),
    "id": ("constant", "first_empty", "changing"),
    "fill": tuple(
        {kind: {field: how}}
        for kind in ("opening", "delta", "finish")
        for field in ("content", "reasoning", "refusal", "tool_calls")
        for how in ("empty", "null", "text")
    ),
    "spelling": ({"order": "sorted"}, {"order": "usual"}),
}


def best_habits(
    frames: Sequence[str], completion: Completion, starts: Sequence[Variation], dialect: Dialect, drawn: Values
) -> tuple[int, Variation]:
    """The number of the variation that is best to start from, and the habits that make its rendered frames more like
    the recorded ones."""

    known: list[tuple[ChatHabits, Sequence[Batch], float]] = []

    def score(candidate: Variation) -> float:
        batches, answer = divided(completion, candidate, dialect, drawn)
        habits = replace(answer.habits, own_spelling=None, own_reasoning=None)  # those of whole bodies
        for others, before, found in known:
            if habits == others and batches == before:
                return found
        known.append((habits, batches, alike(data_of(batches, answer), frames)))
        return known[-1][2]

    calling = any(choice.tool_calls for choice in completion.choices)
    tried = {field: habits for field, habits in _HABITS.items() if calling or field != "calls"}
    tried["fill"] = tuple(_useful_fillers(frames))
    found: list[tuple[float, int, Variation]] = []
    for number, start in enumerate(starts):
        best, habits = _climbed(score, start, tried)
        found.append((best, -number, habits))
        if best >= _ALIKE:
            break
    _, number, habits = max(found, key=lambda scored: scored[:2])
    return -number, habits


def _useful_fillers(frames: Sequence[str]) -> Iterator[Any]:
    """The habits of fillers that may make a frame more like a recorded one: of any delta, those whose value is in some
    recorded delta. Those of the opening and of the finish also replace the ones of any delta; of those whose key is in
    no delta, one shows what that does."""
    choices = [choice for frame in frames for choice in json.loads(frame).get("choices") or ()]
    recorded = {(key, repr(value)) for choice in choices for key, value in (choice.get("delta") or {}).items()}
    present = {key for key, _ in recorded}
    shown: set[str] = set()
    for habit in _HABITS["fill"]:
        ((kind, fields),) = habit.items()
        ((field, how),) = fields.items()
        keys = {*REASONING_KEYS} if field == "reasoning" else {field}
        if kind == "delta":
            if recorded.isdisjoint((key, value) for key in keys for value in _FILLED[how]):
                continue
        elif keys.isdisjoint(present):
            if kind in shown:
                continue
            shown.add(kind)
        yield habit


_FILLED: Mapping[str, Sequence[str]] = {"empty": ("''", "[]"), "null": ("None",), "text": ("''", "[]", "None")}
"""How the values of each filler look in Python."""


def _climbed(
    score: Callable[[Variation], float], start: Variation, tried: Mapping[str, Sequence[Any]]
) -> tuple[float, Variation]:
    """The best likeness and its habits. If one is kept, all are tried again: it may have hidden another."""
    best, found = score(start), Variation()
    for _ in range(2):
        before = found
        for field, habits in tried.items():
            for habit in habits if best < _ALIKE else ():
                candidate = msgspec.convert({field: habit}, Variation).over(found)
                if candidate.over(start) != found.over(start) and (likely := score(candidate.over(start))) > best:
                    best, found = likely, candidate
        if found == before:
            break
    return best, found


_ALIKE = 2.0  # the likeness of equal streams


def abridged(frames: Sequence[str]) -> list[str]:
    """The frames without the middle of each long run of frames that differ only in their texts: habits show at the ends
    of a run. If that leaves more than _MOST, only the first and the last frames of each shape are kept, and of these
    the first and last of the stream: hundreds of streams are rendered with as many frames."""
    shapes = [_shape(_content(json.loads(frame))) for frame in frames]
    kept: list[int] = []
    for _, run in groupby(range(len(frames)), key=lambda number: shapes[number]):
        kept += _ends(list(run), _ENDS)
    if len(kept) > _MOST:
        by_shape: dict[Any, list[int]] = {}
        for number in kept:
            by_shape.setdefault(shapes[number], []).append(number)
        kept = _ends(sorted(number for alike in by_shape.values() for number in _ends(alike, _ENDS)), _MOST // 2)
    return [frames[number] for number in kept]


def _ends(numbers: list[int], size: int) -> list[int]:
    return numbers if len(numbers) <= size * 2 else numbers[:size] + numbers[-size:]


_ENDS = 4
"""How many frames are kept at each end of a run."""

_MOST = 120
"""How many frames are compared at most."""


def _shape(value: Any) -> Any:
    """The keys in their order, and which values are not empty."""
    if isinstance(value, dict):
        return tuple((key, _shape(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_shape, value))
    return bool(value), value is None


def alike(made: Sequence[str], recorded: Sequence[str]) -> float:
    """How many of the frames agree, from 0 to 2: compared from the start and from the end, because an additional frame
    shifts all frames after it."""
    agreed = sum(map(_agreement, made, recorded))
    agreed += sum(map(_agreement, reversed(made), reversed(recorded)))
    return agreed / max(len(made), len(recorded), 1)


@lru_cache(2**14)
def _agreement(made: str, recorded: str) -> float:
    """How much two frames agree, from 0 to 1."""
    if made == recorded:
        return 1.0
    found, expected = content_leaves(made), content_leaves(recorded)
    if found == expected:
        return 1.0
    both = {*found, *expected}
    return 0.9 * len({*found}.intersection(expected)) / len(both) if both else 0.0


@lru_cache(2**14)
def content_leaves(frame: str) -> tuple[str, ...]:
    """The leaves of a frame that carry content: no habit explains the other keys that a provider adds. They are kept,
    because the streams that are compared with one recording have most frames in common."""
    chunk = json.loads(frame)
    envelope = {key: chunk[key] for key in ("id", "created", "model") if key in chunk}
    return tuple(_leaves(envelope | _content(chunk)))


def _content(chunk: dict[str, Any]) -> dict[str, Any]:
    """The part of a chunk that carries content."""
    choices = [
        {key: value for key, value in choice.items() if key in CONTENT_KEYS}
        | {"delta": {key: value for key, value in (choice.get("delta") or {}).items() if key in CONTENT_KEYS}}
        for choice in chunk.get("choices") or ()
    ]
    return {"choices": choices} | ({"usage": chunk["usage"]} if "usage" in chunk else {})


def _leaves(value: Any, path: str = "") -> list[str]:
    """Every value of a frame with its path, in their order."""
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}")]
    if isinstance(value, list) and value:
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, f"{path}[{number}]")]
    return [f"{path}={value!r}"]
