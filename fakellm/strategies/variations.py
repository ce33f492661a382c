"""Draws of how a completion is said: a few steps from the plain wire, of those that a profile allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from fakellm.completion import Completion
from fakellm.shape import FieldError
from fakellm.strategies.families import Options, options
from fakellm.strategies.profiles import profile
from fakellm.variation import Variation

T = TypeVar("T")


@st.composite
def variations(
    draw: st.DrawFn,
    completion: Completion,
    profile: str = "default",
    exclude: tuple[str, ...] = (),
    most: int = 3,
) -> Variation:
    """Ways to say, frame and send `completion`: at most so many steps of a profile at once, and most often one or two.

    Few at a time, so that one bug does not hide another and a failure needs little shrinking. `exclude`: steps to leave
    out, as for `streams`. Shrinks to ``Variation()``: to the fewest steps, and to the cut nearest a boundary.
    """
    return draw_variation(draw, completion, profile, exclude, most)


def draw_variation(
    draw: st.DrawFn, completion: Completion, profile: str, exclude: tuple[str, ...], most: int = 3
) -> Variation:
    """As `variations`, within another draw: a strategy within a strategy costs more than what it draws."""
    allowed = _allowed(completion, profile, exclude)
    if not allowed:
        return Variation()
    return combined([pick(draw, pick(draw, allowed)) for _ in range(pick(draw, _counts(most)))])


def pick(draw: st.DrawFn, items: Sequence[T]) -> T:
    """One of the items, the first in a shrunk example. `sampled_from` would hash all of them anew for each list."""
    return items[draw(st.integers(0, len(items) - 1))]


@lru_cache(maxsize=512)
def _allowed(completion: Completion, name: str, exclude: tuple[str, ...]) -> tuple[Options, ...]:
    """The families that a profile allows, and that say something of this completion."""
    found = options(completion)
    return tuple(found[family] for family in profile(name, exclude).families if family in found)


@lru_cache(maxsize=8)
def _counts(most: int) -> tuple[int, ...]:
    """How many steps: one more often than none, two or three, and seldom more."""
    return tuple(sorted((*range(most + 1), 1, *range(1, min(most, 3) + 1))))


def combined(variations: Iterable[Variation]) -> Variation:
    """All the steps in one variation. Where two cannot be had together, as two cuts of one body, the first stays."""
    whole = Variation()
    for each in variations:
        try:
            whole = _joined(whole, each)
        except FieldError:
            continue
    return _known_calls(whole)


def _known_calls(variation: Variation) -> Variation:
    """Calls that no index tells apart come whole and in order: there is nothing else to know their pieces by."""
    how = variation.calls
    if how is None or how.index not in ("absent", "null", "zero"):
        return variation
    split = variation.split if isinstance(variation.split, dict) else {}
    calls = msgspec.structs.replace(how, order=None)
    return msgspec.structs.replace(variation, split=split | {"arguments": "whole"}, calls=calls)


def _joined(first: Variation, second: Variation) -> Variation:
    fields = {name: _both(getattr(first, name), getattr(second, name)) for name in Variation.__struct_fields__}
    return Variation(**fields)


def _both(first: Any, second: Any) -> Any:
    """What both say: mappings and blocks key by key, lists one after the other, and of two values the first."""
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: _both(first.get(key), second.get(key)) for key in first | second}
    if isinstance(first, tuple) and isinstance(second, tuple):
        return first if first == second else (*first, *second)
    if isinstance(first, msgspec.Struct) and type(first) is type(second):
        plain = type(first)()
        fields = {
            name: _said(getattr(first, name), getattr(second, name), getattr(plain, name))
            for name in first.__struct_fields__
        }
        return type(first)(**fields)
    return first


def _said(first: Any, second: Any, plain: Any) -> Any:
    if first == plain:
        return second
    if second == plain:
        return first
    return _both(first, second)
