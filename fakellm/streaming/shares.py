"""Which tokens, with their log probabilities, belong to which piece of a text. Knows no API.

A token belongs to the piece that it ends in; the last piece has all that are left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from fakellm.model.blocks import Token
from fakellm.model.logprobs import size, utf8_length


def shares(pieces: Sequence[str], tokens: tuple[Token, ...]) -> Iterator[tuple[Token, ...]]:
    """The tokens of each piece; an empty piece has none."""
    ends = list(accumulate(size(token) for token in tokens))
    last = max((number for number, piece in enumerate(pieces) if piece), default=None)
    used, length = 0, 0
    for number, piece in enumerate(pieces):
        length += utf8_length(piece)
        upto = len(tokens) if number == last else bisect_right(ends, length)
        yield tokens[used:upto] if piece else ()
        used = upto if piece else used
