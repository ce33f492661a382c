"""Python's own parser of regular expressions has no public name: a release that changes it fails here."""

from __future__ import annotations

import re
from re import _constants  # type: ignore[attr-defined] # what is pinned here

import pytest

from fakellm.generate.json_schema.regex_tree import (
    Alternatives,
    Category,
    Character,
    Condition,
    Group,
    Node,
    OneOf,
    Range,
    Reference,
    Repetition,
    parse,
)

A, B, C = (Character(ord(letter)) for letter in "abc")
DIGIT = Category("digit")

TREES: dict[str, tuple[Node, ...]] = {
    "": (),
    "ab": (A, B),
    r"\x41\u00e9": (Character(0x41), Character(0xE9)),
    ".": (OneOf((Character(10),), negated=True),),
    "[^a]": (OneOf((A,), negated=True),),
    "[^\x00]": (OneOf((Character(0),), negated=True),),
    "[ac]": (OneOf((A, C)),),
    r"[a-c\d]": (OneOf((Range(97, 99), DIGIT)),),
    r"[^a-c\D]": (OneOf((Range(97, 99), Category("digit", negated=True)), negated=True),),
    r"\d\s\w": tuple(OneOf((Category(name),)) for name in ("digit", "space", "word")),
    r"\D\S\W": tuple(OneOf((Category(name, negated=True),)) for name in ("digit", "space", "word")),
    "ab|c": (Alternatives(((A, B), (C,))),),
    "a|b": (OneOf((A, B)),),
    "(a)b": (Group(1, (A,)), B),
    "(?:ab)+": (Repetition(1, None, (A, B)),),
    "(?P<x>a)(?P=x)": (Group(1, (A,)), Reference(1)),
    "(?<x>a)": (Group(1, (A,)),),
    r"(a)\1": (Group(1, (A,)), Reference(1)),
    "(?i:a)": (Group(None, (A,)),),
    "(?>ab)": (Group(None, (A, B)),),
    "a*": (Repetition(0, None, (A,)),),
    "a+?": (Repetition(1, None, (A,)),),
    "a?": (Repetition(0, 1, (A,)),),
    "a*+": (Repetition(0, None, (A,)),),
    "a{2,5}": (Repetition(2, 5, (A,)),),
    "a{3}": (Repetition(3, 3, (A,)),),
    r"^a$": (Condition(), A, Condition()),
    r"\b\B\A\Z": (Condition(),) * 4,
    "(?=a)(?!a)(?<=a)(?<!a)(?!)": (Condition(),) * 5,
    "(a)(?(1)b|c)": (Group(1, (A,)), Condition()),
}


@pytest.mark.parametrize("pattern", TREES)
def test_the_tree_of_a_pattern(pattern: str) -> None:
    assert parse(pattern) == TREES[pattern]


@pytest.mark.parametrize("pattern", ["(", r"\p{L}", "a{2}{3}", "[b-a]"])
def test_what_python_cannot_compile_is_refused(pattern: str) -> None:
    with pytest.raises(re.error):
        parse(pattern)


OPCODES = set(
    "FAILURE SUCCESS ANY ANY_ALL ASSERT ASSERT_NOT AT BRANCH CATEGORY CHARSET BIGCHARSET GROUPREF GROUPREF_EXISTS IN INFO "
    "JUMP LITERAL MARK MAX_UNTIL MIN_UNTIL NOT_LITERAL NEGATE RANGE REPEAT REPEAT_ONE SUBPATTERN MIN_REPEAT_ONE "
    "ATOMIC_GROUP POSSESSIVE_REPEAT POSSESSIVE_REPEAT_ONE GROUPREF_IGNORE IN_IGNORE LITERAL_IGNORE NOT_LITERAL_IGNORE "
    "GROUPREF_LOC_IGNORE IN_LOC_IGNORE LITERAL_LOC_IGNORE NOT_LITERAL_LOC_IGNORE GROUPREF_UNI_IGNORE IN_UNI_IGNORE "
    "LITERAL_UNI_IGNORE NOT_LITERAL_UNI_IGNORE RANGE_UNI_IGNORE MIN_REPEAT MAX_REPEAT".split()
)
"""Those of Python 3.11 to 3.13, of which the parser emits those that `regex_tree` handles."""


def test_the_parser_has_no_other_opcodes() -> None:
    known = {str(opcode) for opcode in _constants.OPCODES} | {"MIN_REPEAT", "MAX_REPEAT"}
    assert known == OPCODES, "regex_tree.py has to handle what is new, or this list has to lose what is gone"
