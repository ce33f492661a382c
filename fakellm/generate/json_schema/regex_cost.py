"""Estimates how long a regular expression can take on a text: Python's engine tries every way to divide the text.

The estimate is a bound on the steps, often far above the real number. It runs no expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log2

from msgspec import Struct

from fakellm.base.short_texts import cached_if_short
from fakellm.generate.json_schema import regex_tree as tree

STEPS_PER_MILLISECOND = 100_000
"""Steps of Python's engine in a millisecond, roughly."""

_ENDLESS = 1_000.0
"""The logarithm of a number of steps that is never reached."""
_REREADS = re.compile(r"\(\?(?:[=!(]|<[=!]|P=)|\\[1-9]")


class Growth(Struct, frozen=True):
    """How the number of steps grows with the length n of the text: `starts` * n**power * 2**ways.

    anchored: whether it can only match at the start of the text.
    prefix: what each match starts with, as far as that is known.
    """

    power: int = 0
    ways: float = 0.0
    anchored: bool = False
    prefix: str = ""

    @property
    def steady(self) -> bool:
        """Whether the steps are at most a few times the length of the text."""
        return not self.power and self.ways < 4

    def milliseconds(self, text: str) -> float:
        """At most how long a search in this text takes, roughly."""
        starts = 1 if self.anchored else text.count(self.prefix)
        steps = log2(starts or 1) + self.power * log2(len(text) or 1) + min(self.ways, _ENDLESS)
        return (len(text) + 2.0**steps) / STEPS_PER_MILLISECOND if steps < 60 else float("inf")


@cached_if_short(16_384)
def growth(pattern: str) -> Growth:
    """How the time for a search grows. A lookaround, a condition or a reference to a group counts as endless if
    anything in the expression is repeated."""
    if not re.search("[*+{]", pattern) and pattern.count("|") + pattern.count("?") < 4:
        return Growth()  # nearly all patterns of large scenarios, which are compiled anyway
    try:
        nodes = tree.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return Growth(ways=_ENDLESS)
    plain = not re.search(r"\(\?[a-zA-Z-]*[im]", pattern)
    anchored = plain and pattern.startswith(("^", "\\A")) and not isinstance(nodes[0], tree.Alternatives)
    last = nodes[-1] if nodes else None
    if isinstance(last, tree.Repetition) and last.least < 16 and _single(last.parts):
        nodes = nodes[:-1]  # whatever it takes, nothing follows that could fail
    power, ways = _sequence(nodes)
    if (steps := size(nodes)) > 1_000:
        ways += log2(steps)
    if _REREADS.search(pattern) and re.search("[*+{]", pattern):
        ways = _ENDLESS
    prefix = ""
    for node in nodes if plain else ():
        if not isinstance(node, tree.Character):
            break
        prefix += chr(node.code)
    return Growth(power, ways, anchored, prefix)


def _sequence(nodes: Sequence[tree.Node]) -> tuple[int, float]:
    each = [_node(node) for node in nodes]
    return sum(power for power, _ in each), sum(ways for _, ways in each)


def _node(node: tree.Node) -> tuple[int, float]:
    match node:
        case tree.Alternatives(options):
            each = [_sequence(option) for option in options]
            return max(power for power, _ in each), log2(len(options)) + max(ways for _, ways in each)
        case tree.Group(_, parts):
            return _sequence(parts)
        case tree.Repetition(least, most, parts):
            power, ways = _sequence(parts)
            if (most is None or most > 1) and (power or ways):
                # Each repeat can take more or less of the text: the ways multiply.
                return 0, _ENDLESS if most is None else min(most * (ways + 16 * power), _ENDLESS)
            if most is None:
                return 1, 0.0
            return 0, log2(most - least + 1) + ways
    return 0, 0.0


def size(nodes: Sequence[tree.Node]) -> float:
    """How many steps it takes to go through the parts once, with the fewest repeats."""
    total = 0.0
    for node in nodes:
        match node:
            case tree.Alternatives(options):
                total += sum(map(size, options))
            case tree.Group(_, parts):
                total += 1 + size(parts)
            case tree.Repetition(least, _, parts):
                total += max(least, 1) * (1 + size(parts))
            case _:
                total += 1
    return total


def _single(parts: Sequence[tree.Node]) -> bool:
    """Whether the parts are one character."""
    return len(parts) == 1 and isinstance(parts[0], (tree.Character, tree.OneOf))
