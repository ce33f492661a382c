"""Which tokens, with their log probabilities, belong to which piece of a text. Knows no API.

A token belongs to the piece that it ends in; the last piece has all that are left.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from fakellm.model.blocks import Token


def shares(pieces: Sequence[str], tokens: tuple[Token, ...]) -> Iterator[tuple[Token, ...]]:
    """The tokens of each piece; an empty piece has none."""
    ends = list(accumulate(size(token) for token in tokens))
    last = max((number for number, piece in enumerate(pieces) if piece), default=None)
    used, length = 0, 0
    for number, piece in enumerate(pieces):
        length += byte_length(piece)
        upto = len(tokens) if number == last else bisect_right(ends, length)
        yield tokens[used:upto] if piece else ()
        used = upto if piece else used


def size(token: Token) -> int:
    """How many bytes of the text a token stands for."""
    return len(token.bytes or ()) if token.bytes != () else byte_length(token.token)


def byte_length(text: str) -> int:
    """The bytes of a text in UTF-8; half a surrogate pair is half a character of four."""
    return len(text.encode("utf-8", "surrogatepass")) - len(re.findall("[\ud800-\udfff]", text))
