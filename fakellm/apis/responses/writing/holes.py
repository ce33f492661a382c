"""What the writer leaves open: ids, the response object, numbers and padding; and how parts of a reasoning are named.

Knows no batches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fakellm.apis.responses.errors import failed_object
from fakellm.apis.responses.habits import Habits
from fakellm.apis.responses.items.forms import Forms
from fakellm.apis.responses.writing.answering import Prepared, with_usage
from fakellm.apis.skeleton import Fill, in_bulk, per_event, per_number, per_stream
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM
from fakellm.base.template import Hole, resolved
from fakellm.streaming.shape import PIECE

_WIDTH = 16
"""Padding fills a delta to a multiple of this many characters."""


class PartNames(Struct, frozen=True):
    """How the parts of a reasoning are named: the events of a part and of its text, its number, its type, and the key
    of the item that has it."""

    part: str
    text: str
    index: str
    kind: str
    key: str


SUMMARY = PartNames("reasoning_summary_part", "reasoning_summary_text", "summary_index", "summary_text", "summary")
_SHOWN = {
    "part": PartNames("reasoning_part", "reasoning_text", "content_index", "reasoning_text", "content"),
    "text": PartNames("content_part", "reasoning_text", "content_index", "reasoning_text", "content"),
}


def reasoning_names(at: str, habits: Habits) -> tuple[PartNames | None, int]:
    """The names for a part of a reasoning, by its path, and its number."""
    name, _, index = at.partition(".")
    if not index.isdecimal():
        return None, 0
    shown = _SHOWN["part"] if habits.reasoning == "part" else _SHOWN["text"]
    return (SUMMARY if name == "summary" else shown if name == "parts" else None), int(index)


def prepared(fill: Fill) -> Prepared:
    found: Prepared = fill.drawn["response"]
    return found


def forms_of(fill: Fill, item: int) -> Forms:
    items = prepared(fill).items
    return items[item] if item < len(items) else Forms({}, {}, {}, None)


def state_at(step: str) -> Any:
    return per_stream(f"response {step}", lambda fill: prepared(fill).states[step])


def failed_response(error: JSON, fill: Fill) -> JSON:
    return failed_object(prepared(fill).final, error)


def final_object(fill: Fill, habits: Habits, counted: bool) -> JSON:
    return with_usage(prepared(fill).final, (fill.counts or fill.usage) if counted else None, habits)


def another_id(fill: Fill) -> str:
    """An id for this event alone."""
    return fill.source.draw(("id", fill.number), lambda source: source.text(ALNUM + "+/", 88))


def padding_of(value: Any, habits: Habits) -> Hole:
    """Random text that fills a delta up to a multiple of _WIDTH characters, unless it was recorded."""
    recorded = habits.recorded.obfuscation

    def many(fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
        letters = fill.letters("obfuscation", ALNUM, numbers[-1])
        lengths = [_length(value, fill, piece) for piece in pieces]
        starts = [_WIDTH * number for number in numbers]
        return [f'"{letters[start : start + -length % _WIDTH]}"' for start, length in zip(starts, lengths, strict=True)]

    drawn = in_bulk("obfuscation", many)
    return per_event("obfuscation", lambda fill: recorded.get(fill.number, drawn.make(fill))) if recorded else drawn


def _length(value: Any, fill: Fill, piece: str) -> int:
    """The characters of a delta; most pieces have none that JSON escapes."""
    if value is not PIECE:
        return len(resolved(value, fill))
    return len(json.loads(piece)) if "\\" in piece else len(piece) - 2


def numbered(habits: Habits) -> Hole:
    """The number of an event."""
    return per_number("sequence_number", habits.numbered)
