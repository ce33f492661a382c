"""Draws numbers and texts within the bounds of a flat schema. It knows no objects, lists or references."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

from fakellm.base.seed import Source
from fakellm.generate.json_schema.formats import FORMATS, plausible
from fakellm.generate.json_schema.merge import NoValueError
from fakellm.generate.json_schema.regex import LONGEST, expression, text_for
from fakellm.generate.prose import text

_BOUNDS = (
    *("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "patterns"),
)


def number(flat: dict[str, Any], whole: bool, source: Source) -> int | float:
    """A number from `minimum` to `maximum`; from 0 to 100 if it has neither."""
    step = Fraction(str(flat["multipleOf"])) if "multipleOf" in flat else None
    if whole:
        step = Fraction(1) if step is None else step * step.denominator
    low, high = _bounds(flat, 100 * (step or 1))
    if step is None:
        return _real(flat, low, high, source)
    first, last = ceil(low / step), floor(high / step)
    first += first * step == flat.get("exclusiveMinimum")
    last -= last * step == flat.get("exclusiveMaximum")
    if first > last:
        raise NoValueError(f"no {'integer' if whole else 'number'} is allowed: {_bounds_of(flat)}")
    found = (first + source.below(min(last - first + 1, 2**32))) * step
    return int(found) if found.denominator == 1 else float(found)


def _bounds(flat: dict[str, Any], span: Fraction | int) -> tuple[Fraction, Fraction]:
    lows = [Fraction(flat[key]) for key in ("minimum", "exclusiveMinimum") if key in flat]
    highs = [Fraction(flat[key]) for key in ("maximum", "exclusiveMaximum") if key in flat]
    low = max(lows) if lows else min(Fraction(0), min(highs) - span) if highs else Fraction(0)
    return low, min(highs) if highs else low + span


def _real(flat: dict[str, Any], low: Fraction, high: Fraction, source: Source) -> float:
    if low > high:
        raise NoValueError(f"no number is allowed: {_bounds_of(flat)}")
    exact = low + (high - low) * source.between(1, 999) / 1000
    rounded = round(float(exact), 2)
    return rounded if low < rounded < high else float(exact)


def _bounds_of(flat: dict[str, Any]) -> str:
    """The bounds in the schema, for messages."""
    return ", ".join(f"{key} {flat[key]!r}" for key in _BOUNDS if key in flat)


def string(flat: dict[str, Any], name: str, source: Source) -> str:
    """A text of the schema's format, or else of its patterns, or else one that suits the name of the field."""
    low, high = flat.get("minLength", 0), flat.get("maxLength", LONGEST)
    if low > high or low > LONGEST:
        raise NoValueError(f"no text of at most {LONGEST:,} characters is allowed: {_bounds_of(flat)}")
    patterns: list[str] = flat.get("patterns", [])

    def fits(text: str) -> bool:
        return low <= len(text) <= high and all(expression(pattern).search(text) for pattern in patterns)

    if flat.get("format") in FORMATS and fits(formatted := FORMATS[flat["format"]](source)):
        return formatted
    if not patterns:
        return _of_length(plausible(name, source), int(low), int(high), source)
    for more in (4, 8, 2, 1, 0, 4, 8, 16, 64, 256, 1024):
        drawn = [text_for(pattern, source, more) for pattern in patterns]
        # Each of several patterns may describe a part: how the text starts, and how it ends.
        for candidate in dict.fromkeys([*drawn, "".join(drawn)]):
            if fits(candidate):
                return candidate
    # An expression without anchors matches inside a longer text.
    shortest = text_for(patterns[0], source, 0)
    if fits(padded := shortest + "a" * int(low - len(shortest))):
        return padded
    raise NoValueError(f"no text was found for {_bounds_of(flat)}")


def _of_length(words: str, low: int, high: int, source: Source) -> str:
    while len(words) < low:
        words = f"{words} {text(source, 1)}".lstrip()
    cut = words[:high]
    return cut[:-1] + "s" if cut.endswith(" ") else cut
