"""Which rules no request can reach. Owns the clear cases alone: an earlier `when` that asks for no more than this one.

Knows no file: the rules are numbers here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import product

import msgspec

from fakellm.scenarios.matching import When

MOST_GLOBS = 100
"""So many different patterns of models are tried on a model; beyond them only equal ones are found."""


def unreachable(whens: Sequence[When]) -> Iterator[tuple[int, int]]:
    """The number of each rule that is never reached, and that of the first rule which takes all its requests.

    That is one whose every condition the later rule has too, or, of its model, has more narrowly.
    """
    first: dict[frozenset[tuple[str, bytes]], int] = {}
    shapes: dict[frozenset[str], None] = {}
    globs: dict[str, None] = {}
    for number, when in enumerate(whens):
        asked = _conditions(when)
        wider = [_encoded(glob) for glob in globs if when.model and fnmatchcase(when.model, glob)]
        values = {field: [value, *(wider if field == "model" else [])] for field, value in asked.items()}
        met = (
            first.get(frozenset(zip(shape, choice, strict=True)))
            for shape in shapes
            if shape <= asked.keys()
            for choice in product(*(values[field] for field in shape))
        )
        earlier = min((each for each in met if each is not None), default=None)
        if earlier is not None:
            yield number, earlier
            continue
        first[frozenset(asked.items())] = number
        shapes[frozenset(asked)] = None
        if when.model and set("*?[") & set(when.model) and len(globs) < MOST_GLOBS:
            globs[when.model] = None


def _conditions(when: When) -> dict[str, bytes]:
    """Each condition by its field, those of a mapping by its key as well; not those that any request meets."""
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
    return msgspec.json.encode(value, order="sorted")
