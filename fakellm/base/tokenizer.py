"""Splits text into tokens. It knows nothing about models, vocabularies or streams.

The cuts are approximately those of the pre-tokenizer of OpenAI's o200k_base (`tiktoken_ext/openai_public.py`): a word
includes one leading space or mark and its English contraction, digits form groups of up to three, and punctuation
includes the line ends that follow. Providers stream pieces of about this shape.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LETTER = r"[^\W\d_]"

_TOKEN = re.compile(
    rf"""
      [^\r\n\w]?{_LETTER}+(?i:'(?:[sdmt]|ll|ve|re))?   # " sum", ".R", " It's"
    | \d{{1,3}}                                        # "2", "202"
    | [ ]?(?:[^\s\w]|_)++[\r\n/]*                      # ".", " **", ":\n"
    | \s*[\r\n]+                                       # "  \n"
    | \s+(?!\S)                                        # all but the last space of a run
    | \s+                                              # the space before a number
    """,
    re.VERBOSE,
)

_LONG = 200
"""Characters from which on it is faster to count tokens than to cut the text into them."""


_SHORT = 2_000
"""Characters up to which the last few texts are kept with their tokens: a generated reply is split to limit it, and
again to stream it."""


def split(text: str) -> list[str]:
    """The tokens of `text`, in order; ``"".join(split(text)) == text`` for every text."""
    return list(_split(text)) if len(text) <= _SHORT else _TOKEN.findall(text)


@lru_cache(maxsize=16)
def _split(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(text))


def count(text: str) -> int:
    """The number of tokens in `text`: the count in `usage` if the scenario sets none."""
    if len(text) < _LONG:
        return len(split(text))
    from fakellm.base import token_count  # for long texts only, and a server starts without it

    return token_count.count(text, split)
