"""The tokens of a text, with what they weighed: which of them a piece of the text has. Owns the dealing out.

A token goes with the piece that it ends in. Knows no JSON and no provider.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec.structs import replace

from fakellm.completion import Choice, ChunkChoice, Token, words
from fakellm.seed import Source


def dealt(parts: Sequence[ChunkChoice], choice: Choice) -> list[ChunkChoice]:
    """The parts of a choice, in order, with its tokens: an empty list with the opening, then those that end in a piece.

    Whatever the tokens say, the last piece of the text has all that are left.
    """
    content = _shares([words(part.delta.content) for part in parts], choice.logprobs)
    refusal = _shares([words(part.delta.refusal) for part in parts], choice.refusal_logprobs)
    shared = [
        replace(part, logprobs=said, refusal_logprobs=refused)
        for part, said, refused in zip(parts, content, refusal, strict=True)
    ]
    if choice.logprobs and shared[0].logprobs is None and shared[0].delta.role:  # as OpenAI opens
        shared[0] = replace(shared[0], logprobs=())
    return shared


def _shares(pieces: Sequence[str], tokens: tuple[Token, ...]) -> Iterator[tuple[Token, ...] | None]:
    """For each piece its tokens; None where it says nothing."""
    ends = list(accumulate(size(token) for token in tokens))
    last = max((number for number, piece in enumerate(pieces) if piece), default=None)
    given, length = 0, 0
    for number, piece in enumerate(pieces):
        length += _length(piece)
        upto = len(tokens) if number == last else bisect_right(ends, length)
        yield tokens[given:upto] if tokens and piece else None
        given = upto if piece else given


def size(token: Token) -> int:
    """How many bytes of the text a token stands for."""
    return len(token.bytes or ()) if token.bytes != () else _length(token.token)


def _length(text: str) -> int:
    """Its bytes in UTF-8; half a surrogate pair is half a character of four."""
    return len(text.encode("utf-8", "surrogatepass")) - len(re.findall("[\ud800-\udfff]", text))


def kept(tokens: tuple[Token, ...], text: str) -> tuple[Token, ...]:
    """The tokens that a text which was cut off still has."""
    left = _length(text)
    return tuple(token for token, end in zip(tokens, accumulate(map(size, tokens)), strict=True) if end <= left)


def weighed(texts: Sequence[str], top: int, source: Source) -> tuple[Token, ...]:
    """Tokens for these texts, weighed by the seed; with `top`, each heads so many that might stand in its place."""
    return tuple(_weighed(text, top, source) for text in texts)


def _weighed(text: str, top: int, source: Source) -> Token:
    logprob = -source.between(1, 500_000) / 1_000_000
    others = (Token(text + "s" * place, logprob - place - source.between(0, 999) / 1000) for place in range(1, top))
    return Token(text, logprob, (Token(text, logprob), *others)[:top])
