"""Draws variations: a few steps away from the plain wire. Owns how many, and how they are combined into one value."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from fakellm.apis.variation import Variation
from fakellm.base.validation import FieldError
from fakellm.fuzzing.draws.families import options
from fakellm.fuzzing.draws.picks import Picks
from fakellm.fuzzing.draws.profiles import Profile
from fakellm.model.blocks import Completion


def variation(picks: Picks, completion: Completion, profile: Profile, most: int = 3) -> Variation:
    """A way to divide, frame and send `completion`: at most `most` steps of the profile at once.

    Usually one or two, so that one bug does not hide another and a failure needs little shrinking.
    """
    found = options(completion)
    families = [found[family] for family in profile.weighted if family in found]
    if not families:
        return Variation()
    picked = [picks.choice(picks.choice(families)) for _ in range(picks.choice(_counts(most)))]
    return combined(each for each in picked if profile.allows(each))


@lru_cache(maxsize=8)
def _counts(most: int) -> tuple[int, ...]:
    """The numbers of steps to choose from: one is most frequent, then two or three; more are rare."""
    return tuple(sorted((*range(most + 1), 1, *range(1, min(most, 3) + 1))))


def combined(variations: Iterable[Variation]) -> Variation:
    """All the steps in one variation. If two conflict, such as two cuts of one body, the first is kept."""
    whole = Variation()
    for each in variations:
        try:
            whole = _joined(whole, each)
        except FieldError:
            continue
    return _distinguishable_calls(whole)


def _distinguishable_calls(variation: Variation) -> Variation:
    """The variation with calls sent whole and in order if no index distinguishes them: nothing else assigns pieces."""
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
    """Both values combined: mappings and blocks key by key, lists concatenated; of two plain values, the first."""
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: _both(first.get(key), second.get(key)) for key in first | second}
    if isinstance(first, tuple) and isinstance(second, tuple):
        return first if first == second else (*first, *second)
    if isinstance(first, msgspec.Struct) and type(first) is type(second):
        plain = type(first)()
        fields = {
            name: _unless_plain(getattr(first, name), getattr(second, name), getattr(plain, name))
            for name in first.__struct_fields__
        }
        return type(first)(**fields)
    return first


def _unless_plain(first: Any, second: Any, plain: Any) -> Any:
    if first == plain:
        return second
    if second == plain:
        return first
    return _both(first, second)
