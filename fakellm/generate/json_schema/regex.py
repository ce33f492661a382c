"""A regular expression to a text that it finds something in. Owns this; knows nothing of schemas.

It walks what Python's own parser makes of the expression. Of the libraries that do so (rstr, exrex) none keeps its
output from one version to the next, and their texts are of any printable character, not of plausible ones.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined] # the parser has no public name since Python 3.11
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from fakellm.base.seed import Source

LONGEST = 20_000
"""Characters of a text, about; more is asked for by nobody who means it."""

_PLAIN = [*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("Z") + 1), *range(ord("0"), ord("9") + 1)]
_PRINTED = [*_PLAIN, *(code for code in range(32, 127) if code not in _PLAIN)]
_CODES = (op.RANGE, op.LITERAL)
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdigit,
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_WORD: lambda character: character.isalnum() or character == "_",
}
_OPPOSITES = {
    op.CATEGORY_NOT_DIGIT: op.CATEGORY_DIGIT,
    op.CATEGORY_NOT_SPACE: op.CATEGORY_SPACE,
    op.CATEGORY_NOT_WORD: op.CATEGORY_WORD,
}


@lru_cache(maxsize=256)
def expression(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled. JSON Schema's are those of ECMA-262; Python spells named groups otherwise. Raises re.error
    for what only ECMA knows, such as `\\p{L}`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "possible nested set" is for Python's authors
        return re.compile(re.sub(r"(?<!\\)\(\?<(?![=!])", "(?P<", pattern))


def text_for(pattern: str, source: Source, more: int) -> str:
    """A text drawn from the pattern; `more` repeats than the fewest where it leaves the number open.

    What looks ahead or behind is passed over, so the text may not meet it: the caller checks.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        parsed: Iterable[tuple[Any, Any]] = _parser.parse(expression(pattern).pattern)
    return _Walk(source, more).of(parsed)


class _Walk:
    def __init__(self, source: Source, more: int) -> None:
        self.source = source
        self.more = more
        self.groups: dict[int, str] = {}
        self.left = LONGEST

    def of(self, parsed: Iterable[tuple[Any, Any]]) -> str:
        return "".join(self.one(kind, value) for kind, value in parsed)

    def one(self, kind: Any, value: Any) -> str:
        self.left -= 1
        if kind is op.LITERAL:
            return chr(value)
        if kind in (op.NOT_LITERAL, op.ANY, op.IN):
            members = value if kind is op.IN else [(op.NEGATE, None), (op.LITERAL, value or 10)]
            return self.one_of(members)
        if kind is op.BRANCH:
            return self.of(self.source.choice(value[1]))
        if kind is op.SUBPATTERN:
            said = self.of(value[3])
            self.groups[value[0]] = said
            return said
        if kind is op.ATOMIC_GROUP:
            return self.of(value)
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            low, high, inner = value
            times = min(self.source.between(low, min(int(high), low + self.more)), LONGEST)
            return "".join(self.of(inner) for _ in range(times) if self.left > 0)
        if kind is op.GROUPREF:
            return self.groups.get(value, "")
        return ""  # anchors and what looks around

    def one_of(self, members: list[tuple[Any, Any]]) -> str:
        negated = members[0][0] is op.NEGATE
        for codes in (_PLAIN, _PRINTED):
            fits = [chr(code) for code in codes if any(_has(each, code) for each in members) != negated]
            if fits:
                return self.source.choice(fits)
        ranges = [value if kind is op.RANGE else (value, value) for kind, value in members if kind in _CODES]
        if negated or not ranges:
            return "\u00e9" if negated else "\n"
        return chr(self.source.between(*self.source.choice(ranges)))


def _has(member: tuple[Any, Any], code: int) -> bool:
    kind, value = member
    if kind is op.RANGE:
        return bool(value[0] <= code <= value[1])
    if kind is op.CATEGORY:
        return _CATEGORIES[_OPPOSITES.get(value, value)](chr(code)) != (value in _OPPOSITES)
    return kind is op.LITERAL and bool(value == code)
