"""Cuts a text into pieces. Owns the ways to cut; knows nothing about what the text is part of."""

from __future__ import annotations

import re
from itertools import accumulate, count, pairwise, takewhile
from typing import Annotated, Literal

from msgspec import Meta

from fakellm.base import tokenizer
from fakellm.base.seed import Source

Offset = Annotated[int, Meta(ge=0)]

Cut = (
    Literal["whole", "tokens", "words", "characters", "random", "surrogates"]
    | Annotated[int, Meta(ge=1)]
    | tuple[Offset, ...]
)
"""How a text is cut: not at all, at tokens, before each space, after each code point, at seeded places, inside each
character beyond U+FFFF (contested: half a character is not text), after every N code points, or at given offsets."""

_WORD = re.compile(r"\s*\S+|\s+")
_PIECES_PER_DRAW = 256


def cut(text: str, how: Cut, source: Source) -> list[str]:
    """The pieces of `text`; joined, they are the text. An empty text has no pieces.

    Offsets count code points, so only `surrogates` cuts a surrogate pair; those past the end cut nothing. Only offsets
    give empty pieces: at either end of the text, and where an offset appears twice.
    """
    if not text:
        return []
    if isinstance(how, int):
        return [text[start : start + how] for start in range(0, len(text), how)]
    if not isinstance(how, str):
        return _at(text, how)
    return _NAMED[how](text, source)


def _at(text: str, offsets: tuple[int, ...]) -> list[str]:
    inside = sorted(offset for offset in offsets if offset <= len(text))
    return [text[start:end] for start, end in zip([0, *inside], [*inside, len(text)], strict=True)]


def _random(text: str, source: Source) -> list[str]:
    """Pieces of one to eight code points, as long as real deltas are (p50 4, p90 9)."""
    most = min(len(text), _PIECES_PER_DRAW)
    sizes = (1 + number % 8 for _ in count() for number in source.numbers(most))
    return _at(text, tuple(takewhile(lambda place: place < len(text), accumulate(sizes))))


def _surrogates(text: str, _: Source) -> list[str]:
    """Pieces that end in the first half of a UTF-16 surrogate pair, and start with its second half."""
    units = text.encode("utf-16-le", "surrogatepass")
    halves = [units[place : place + 2].decode("utf-16-le", "surrogatepass") for place in range(0, len(units), 2)]
    pieces = [halves[0]]
    for before, half in pairwise(halves):
        if "\ud800" <= before <= "\udbff":
            pieces.append(half)
        else:
            pieces[-1] += half
    return pieces


_NAMED = {
    "whole": lambda text, _: [text],
    "tokens": lambda text, _: tokenizer.split(text),
    "words": lambda text, _: _WORD.findall(text),
    "characters": lambda text, _: list(text),
    "random": _random,
    "surrogates": _surrogates,
}
