"""The tokens of a text with their log probabilities. Owns how they are drawn, and which are left of a text that is cut.

A token belongs to the piece that it ends in. Knows no JSON and no provider.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from fakellm.base.seed import Source
from fakellm.model.blocks import Token


def size(token: Token) -> int:
    """How many bytes of the text a token covers."""
    return len(token.bytes or ()) if token.bytes != () else utf8_length(token.token)


def utf8_length(text: str) -> int:
    """The bytes of a text in UTF-8; half a surrogate pair counts as half of a character with four bytes."""
    return len(text.encode("utf-8", "surrogatepass")) - len(re.findall("[\ud800-\udfff]", text))


def kept(tokens: tuple[Token, ...], text: str) -> tuple[Token, ...]:
    """The tokens that are left of a text that was cut off."""
    left = utf8_length(text)
    return tuple(token for token, end in zip(tokens, accumulate(map(size, tokens)), strict=True) if end <= left)


def drawn_tokens(texts: Sequence[str], top: int, source: Source) -> tuple[Token, ...]:
    """Tokens for these texts, with log probabilities from the seed; each has `top` likeliest tokens, itself first."""
    return tuple(_drawn_token(text, top, source) for text in texts)


def _drawn_token(text: str, top: int, source: Source) -> Token:
    logprob = -source.between(1, 500_000) / 1_000_000
    others = (Token(text + "s" * place, logprob - place - source.between(0, 999) / 1000) for place in range(1, top))
    return Token(text, logprob, (Token(text, logprob), *others)[:top])
