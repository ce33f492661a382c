"""Parses a regular expression into a small tree of its own types.

Python's `re` has the only parser that agrees with `re` about every expression, and it has had no public name since
Python 3.11. Everything that depends on it is in this module: `parse` is the only function that calls it, and
tests/test_regex_tree.py fails for a Python whose parser has other opcodes or other trees. It draws no texts.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from re import _constants as op  # type: ignore[attr-defined] # see above
from re import _parser  # type: ignore[attr-defined] # see above
from typing import Any, Literal

from msgspec import Struct

from fakellm.base.short_texts import cached_if_short


class Character(Struct, frozen=True):
    """One character, by its code point."""

    code: int


class Range(Struct, frozen=True):
    """A character from `first` to `last`, both included."""

    first: int
    last: int


class Category(Struct, frozen=True):
    """A character of a category, or of none: `negated`."""

    name: Literal["digit", "space", "word"]
    negated: bool = False


class OneOf(Struct, frozen=True):
    """A character that is one of the members, or none of them: `negated`."""

    members: tuple[Character | Range | Category, ...]
    negated: bool = False


class Alternatives(Struct, frozen=True):
    """One of several sequences."""

    options: tuple[tuple[Node, ...], ...]


class Group(Struct, frozen=True):
    """A sequence in parentheses. `number`: what a Reference calls it; None if nothing can."""

    number: int | None
    parts: tuple[Node, ...]


class Repetition(Struct, frozen=True):
    """A sequence repeated from `least` to `most` times; `most` is None if there is no limit."""

    least: int
    most: int | None
    parts: tuple[Node, ...]


class Reference(Struct, frozen=True):
    """The text of a group again."""

    group: int


class Condition(Struct, frozen=True):
    """A part that contributes no characters: an anchor, a lookahead or lookbehind, a condition on a group."""


Node = Character | OneOf | Alternatives | Group | Repetition | Reference | Condition

_CATEGORIES: dict[Any, Category] = {
    op.CATEGORY_DIGIT: Category("digit"),
    op.CATEGORY_NOT_DIGIT: Category("digit", negated=True),
    op.CATEGORY_SPACE: Category("space"),
    op.CATEGORY_NOT_SPACE: Category("space", negated=True),
    op.CATEGORY_WORD: Category("word"),
    op.CATEGORY_NOT_WORD: Category("word", negated=True),
}
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_CONDITIONS = (op.AT, op.ASSERT, op.ASSERT_NOT, op.FAILURE, op.GROUPREF_EXISTS)
_NEWLINE = Character(10)


@cached_if_short(256)
def expression(pattern: str) -> re.Pattern[str]:
    """The pattern of a JSON Schema, compiled. It is one of ECMA-262; Python spells named groups differently.

    Raises re.error for what only ECMA-262 has, such as `\\p{L}`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "possible nested set" is meant for authors of Python code
        return re.compile(re.sub(r"(?<!\\)\(\?<(?![=!])", "(?P<", pattern))


def parse(pattern: str) -> tuple[Node, ...]:
    """The parts of a pattern, in order. Raises re.error if Python cannot compile it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return _nodes(_parser.parse(expression(pattern).pattern))


def _nodes(parsed: Iterable[tuple[Any, Any]]) -> tuple[Node, ...]:
    return tuple(_node(opcode, value) for opcode, value in parsed)


def _node(opcode: Any, value: Any) -> Node:
    if opcode is op.LITERAL:
        return Character(value)
    if opcode is op.NOT_LITERAL:
        return OneOf((Character(value),), negated=True)
    if opcode is op.ANY:
        return OneOf((_NEWLINE,), negated=True)
    if opcode is op.IN:
        negated = value[0][0] is op.NEGATE
        return OneOf(tuple(_member(*each) for each in value[negated:]), negated)
    if opcode is op.BRANCH:
        return Alternatives(tuple(map(_nodes, value[1])))
    if opcode is op.SUBPATTERN:
        return Group(value[0], _nodes(value[3]))
    if opcode is op.ATOMIC_GROUP:
        return Group(None, _nodes(value))
    if opcode in _REPEATS:
        least, most, parts = value
        return Repetition(least, None if most == op.MAXREPEAT else most, _nodes(parts))
    if opcode is op.GROUPREF:
        return Reference(value)
    if opcode in _CONDITIONS:
        return Condition()
    raise re.error(f"no text can be drawn for {opcode}")


def _member(opcode: Any, value: Any) -> Character | Range | Category:
    if opcode is op.RANGE:
        return Range(*value)
    if opcode is op.CATEGORY:
        return _CATEGORIES[value]
    return Character(value)
