"""Which tokens of a text each chunk carries. A token goes with the chunk that it ends in.

Knows no JSON and no provider.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec.structs import replace

from fakellm.apis.chat.chunk import ChunkChoice, words
from fakellm.model.completion import Choice, Token
from fakellm.model.logprobs import size, utf8_length


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
        length += utf8_length(piece)
        upto = len(tokens) if number == last else bisect_right(ends, length)
        yield tokens[given:upto] if tokens and piece else None
        given = upto if piece else given
