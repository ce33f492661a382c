"""Which habits make a stream most like a recorded one: each is tried, and what makes no more chunks equal is not taken.

Owns the habits to try and what likeness is. Knows no provider by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec

from fakellm.completion import Completion
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.write import SAID
from fakellm.respell import rendered
from fakellm.variation import Variation

# Habits to try, each as a `stream:` block; what makes no more frames equal is not taken.
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
    "finish": ("alone", "last", "call", "twice"),
    "usage": ("own", "finish", "both", "after"),
    "unfinished": ("null", "absent", "empty"),
    "usage_before": ("absent", "null"),
    "reasoning": ("reasoning_content", "reasoning", "both", "reasoning_details"),
    "id": ("constant", "first_empty", "changing"),
    "fill": tuple(
        {kind: {field: how}}
        for kind in ("opening", "delta", "finish")
        for field in ("content", "reasoning", "refusal", "tool_calls")
        for how in ("empty", "null", "text")
    ),
    "spelling": ({"order": "sorted"}, {"order": "usual"}),
}


def fitted(frames: Sequence[str], completion: Completion, starts: Sequence[Variation], dialect: Dialect) -> Variation:
    """The best of the variations with each habit that makes what is rendered more like the frames."""
    leaves = cache(standard)  # most frames of two candidates are the same
    wanted = [leaves(frame) for frame in frames]

    def score(candidate: Variation) -> float:
        return alike([leaves(frame) for frame in rendered(completion, candidate, dialect)], wanted)

    found: list[tuple[float, Variation]] = []
    for start in starts:
        found.append(_climbed(score, score(start), start))
        if found[-1][0] >= _ALIKE:
            break
    return max(found, key=lambda scored: scored[0])[1]


def _climbed(score: Callable[[Variation], float], best: float, variation: Variation) -> tuple[float, Variation]:
    """Every habit is tried twice: one may hide another."""
    for field, habits in [*_HABITS.items()] * 2:
        for habit in habits if best < _ALIKE else ():
            candidate = msgspec.convert({field: habit}, Variation).over(variation)
            if candidate != variation and (likely := score(candidate)) > best:
                best, variation = likely, candidate
    return best, variation


_ALIKE = 2.0  # the likeness of frames that are all the same


def alike(found: list[tuple[str, ...]], wanted: list[tuple[str, ...]]) -> float:
    """How much of the frames agrees, compared from the start and from the end: a frame too many shifts but one half."""
    agreed = sum(_agreement(a, b) for a, b in zip(found, wanted, strict=False))
    agreed += sum(_agreement(a, b) for a, b in zip(reversed(found), reversed(wanted), strict=False))
    return agreed / max(len(found), len(wanted), 1)


def _agreement(found: tuple[str, ...], wanted: tuple[str, ...]) -> float:
    if found == wanted:
        return 1.0
    common = len(set(found) & set(wanted))
    return 0.9 * common / max(len(found), len(wanted))


def standard(frame: str) -> tuple[str, ...]:
    """The leaves of a frame that carry what is said: whatever else a provider adds is not a habit's to explain."""
    chunk = json.loads(frame)
    choices = [
        {key: value for key, value in choice.items() if key in SAID}
        | {"delta": {key: value for key, value in (choice.get("delta") or {}).items() if key in SAID}}
        for choice in chunk.get("choices") or ()
    ]
    envelope = {key: chunk[key] for key in ("id", "created", "model", "usage") if key in chunk}
    return tuple(_leaves(envelope | {"choices": choices}))


def _leaves(value: Any, path: str = "") -> list[str]:
    """Every value of a frame with its path, in the order they stand."""
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}")]
    if isinstance(value, list) and value:
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, f"{path}[{number}]")]
    return [f"{path}={value!r}"]
