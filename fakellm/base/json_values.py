"""Which values JSON has: finite numbers, and neither dates nor bytes nor sets, all of which YAML has.

Owns the message for each other value, with its remedy. It knows no files and no scenarios.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any

from msgspec import Meta

WireValue = Annotated[Any, Meta(extra={"numbers": "any"})]
"""A value as it is written on the wire, where some servers write NaN and Infinity, though JSON has no such numbers."""

MOST_BITS = 14_000
"""Of an integer: about 4,200 digits. Python writes no integers of more than 4,300."""


def is_json(value: Any) -> bool:
    """Whether JSON has this scalar value."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return value.bit_length() <= MOST_BITS
    return value is None or isinstance(value, str)


def not_json(value: Any) -> str:
    """Why a scalar value is not JSON, and what to write instead."""
    if isinstance(value, float):
        return f"JSON has no number {value}; write a number, or put it in quotes to make it text"
    if isinstance(value, int):
        return f"an integer of {value.bit_length():,} bits is too long; at most {MOST_BITS:,} are allowed"
    if isinstance(value, (bytes, bytearray)):
        return "JSON has no binary data; write text, such as base64 in quotes"
    if isinstance(value, (set, frozenset)):
        return "JSON has no sets; write a list"
    if hasattr(value, "isoformat"):
        return f"JSON has no dates or times, such as {value}; put it in quotes to make it text"
    allowed = "text, a number, a boolean, null, a list or a mapping"
    return f"JSON has no values of the type {type(value).__name__!r}; write {allowed}"
