"""How a completion is said, drawn: a few steps from the plain wire. Owns how many, and how they go into one value."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from fakellm.apis.chat.variation import Variation
from fakellm.base.validation import FieldError
from fakellm.fuzzing.draws.families import options
from fakellm.fuzzing.draws.picks import Picks
from fakellm.fuzzing.draws.profiles import Profile
from fakellm.model.completion import Completion


def variation(picks: Picks, completion: Completion, what: Profile, most: int = 3) -> Variation:
    """A way to say, frame and send `completion`: at most so many steps of a profile at once.

    Most often one or two, so that one bug does not hide another and a failure needs little shrinking.
    """
    found = options(completion)
    families = [found[family] for family in what.families if family in found]
    if not families:
        return Variation()
    picked = [picks.choice(picks.choice(families)) for _ in range(picks.choice(_counts(most)))]
    return combined(each for each in picked if what.allows(each))


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
