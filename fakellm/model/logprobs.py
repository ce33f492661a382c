"""The tokens of a text, with what they weighed: which of them a piece of the text has. Owns the dealing out.

A token goes with the piece that it ends in. Knows no JSON and no provider.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from fakellm.base.seed import Source
from fakellm.model.blocks import Token


def size(token: Token) -> int:
    """How many bytes of the text a token stands for."""
    return len(token.bytes or ()) if token.bytes != () else utf8_length(token.token)


def utf8_length(text: str) -> int:
    """Its bytes in UTF-8; half a surrogate pair is half a character of four."""
    return len(text.encode("utf-8", "surrogatepass")) - len(re.findall("[\ud800-\udfff]", text))


def kept(tokens: tuple[Token, ...], text: str) -> tuple[Token, ...]:
    """The tokens that a text which was cut off still has."""
    left = utf8_length(text)
    return tuple(token for token, end in zip(tokens, accumulate(map(size, tokens)), strict=True) if end <= left)


def weighed(texts: Sequence[str], top: int, source: Source) -> tuple[Token, ...]:
    """Tokens for these texts, weighed by the seed; with `top`, each heads so many that might stand in its place."""
    return tuple(_weighed(text, top, source) for text in texts)


def _weighed(text: str, top: int, source: Source) -> Token:
    logprob = -source.between(1, 500_000) / 1_000_000
    others = (Token(text + "s" * place, logprob - place - source.between(0, 999) / 1000) for place in range(1, top))
    return Token(text, logprob, (Token(text, logprob), *others)[:top])
