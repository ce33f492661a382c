"""Draws a text that a regular expression matches. It knows nothing about schemas.

The libraries that do this (rstr, exrex) do not keep their output from one version to the next, and draw any printable
characters instead of plausible ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fakellm.base.seed import Source
from fakellm.generate.json_schema import regex_tree as tree
from fakellm.generate.json_schema.regex_tree import expression, parse

__all__ = ["LONGEST", "expression", "text_for"]

LONGEST = 20_000
"""The greatest length of a text, in characters, approximately; no real schema needs a longer one."""

_PLAIN = [*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("Z") + 1), *range(ord("0"), ord("9") + 1)]
_PRINTABLE = [*_PLAIN, *(code for code in range(32, 127) if code not in _PLAIN)]
_CATEGORIES: Mapping[str, Callable[[str], bool]] = {
    "digit": str.isdigit,
    "space": str.isspace,
    "word": lambda character: character.isalnum() or character == "_",
}


def text_for(pattern: str, source: Source, more: int) -> str:
    """A text drawn from the pattern; where the number of repeats may vary, at most `more` above the minimum.

    Lookaheads and lookbehinds are ignored, so the pattern may not match the text: the caller checks. Raises re.error if
    Python cannot compile the pattern.
    """
    return _Writer(source, more).sequence(parse(pattern))


class _Writer:
    def __init__(self, source: Source, more: int) -> None:
        self.source = source
        self.more = more
        self.groups: dict[int | None, str] = {}
        self.left = LONGEST

    def sequence(self, nodes: tuple[tree.Node, ...]) -> str:
        return "".join(self.text(node) for node in nodes)

    def text(self, node: tree.Node) -> str:
        self.left -= 1
        match node:
            case tree.Character(code):
                return chr(code)
            case tree.OneOf():
                return self.one_of(node)
            case tree.Alternatives(options):
                return self.sequence(self.source.choice(options))
            case tree.Group(number, parts):
                self.groups[number] = self.sequence(parts)
                return self.groups[number]
            case tree.Repetition(least, most, parts):
                limit = least + self.more if most is None else min(most, least + self.more)
                times = min(self.source.between(least, limit), LONGEST)
                return "".join(self.sequence(parts) for _ in range(times) if self.left > 0)
            case tree.Reference(group):
                return self.groups.get(group, "")
            case tree.Condition():
                return ""

    def one_of(self, node: tree.OneOf) -> str:
        for codes in (_PLAIN, _PRINTABLE):
            if fitting := [
                chr(code) for code in codes if any(_has(each, code) for each in node.members) != node.negated
            ]:
                return self.source.choice(fitting)
        if node.negated:
            return "\u00e9"
        ranges = [range_ for each in node.members if (range_ := _range(each))]
        return chr(self.source.between(*self.source.choice(ranges))) if ranges else "\n"


def _range(member: tree.Character | tree.Range | tree.Category) -> tuple[int, int] | None:
    match member:
        case tree.Character(code):
            return code, code
        case tree.Range(first, last):
            return first, last
    return None


def _has(member: tree.Character | tree.Range | tree.Category, code: int) -> bool:
    match member:
        case tree.Character(own):
            return own == code
        case tree.Range(first, last):
            return first <= code <= last
        case tree.Category(name, negated):
            return _CATEGORIES[name](chr(code)) != negated
