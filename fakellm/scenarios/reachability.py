"""Finds rules that no request can reach: an earlier `when` has no condition that the later one lacks.

It finds only these clear cases. It knows no files; rules are numbers here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import product

import msgspec

from fakellm.scenarios.matching import When

MOST_GLOBS = 100
"""The number of different model patterns that are tried on a model; of further ones only equal ones are found."""


def unreachable(whens: Sequence[When]) -> Iterator[tuple[int, int]]:
    """The number of each rule that no request reaches, and that of the first rule that matches all its requests.

    The later rule has every condition of that rule, except that its `model` may be narrower.
    """
    first: dict[frozenset[tuple[str, bytes]], int] = {}
    shapes: dict[frozenset[str], None] = {}
    globs: dict[str, None] = {}
    for number, when in enumerate(whens):
        conditions = _conditions(when)
        wider = [_encoded(glob) for glob in globs if when.model and fnmatchcase(when.model, glob)]
        values = {field: [value, *(wider if field == "model" else [])] for field, value in conditions.items()}
        matches = (
            first.get(frozenset(zip(shape, choice, strict=True)))
            for shape in shapes
            if shape <= conditions.keys()
            for choice in product(*(values[field] for field in shape))
        )
        earlier = min((each for each in matches if each is not None), default=None)
        if earlier is not None:
            yield number, earlier
            continue
        first[frozenset(conditions.items())] = number
        shapes[frozenset(conditions)] = None
        if when.model and set("*?[") & set(when.model) and len(globs) < MOST_GLOBS:
            globs[when.model] = None


def _conditions(when: When) -> dict[str, bytes]:
    """Each condition by its field, or by field and key for a mapping, except those that every request matches."""
    found: dict[str, bytes] = {}
    for field, value in msgspec.to_builtins(when).items():
        if field in ("result", "headers", "body"):
            found |= {
                f"{field}.{key.lower() if field == 'headers' else key}": _encoded(each) for key, each in value.items()
            }
        elif value != [] and (field, value) != ("model", "*"):
            found[field] = _encoded(sorted(value) if isinstance(value, list) else value)
    return found


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value, order="sorted")
    except (UnicodeEncodeError, OverflowError):  # half of a surrogate pair, an integer of more than 64 bits
        return json.dumps(value, sort_keys=True).encode()
