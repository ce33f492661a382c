"""Writes numbers of things: `1 rule`, `2 rules`, `no rules`."""

from __future__ import annotations


def count(number: int, thing: str, none: str = "0") -> str:
    """The number with the noun, in the plural unless the number is 1. `none`: the word for 0."""
    return f"{f'{number:,}' if number else none} {noun(number, thing)}"


def noun(number: int, thing: str) -> str:
    """The noun, in the plural unless the number is 1."""
    if number == 1:
        return thing
    return f"{thing[:-1]}ies" if thing[-1] == "y" and thing[-2] not in "aeiou" else f"{thing}s"
