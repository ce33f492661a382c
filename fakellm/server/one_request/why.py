"""Why a rule answers a request and the others do not: each condition of each rule, with what the request has.

The code that matches rules compares them. Knows no session and no routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest

from msgspec import Struct

from fakellm.base.json_text import writable
from fakellm.model.request import Request
from fakellm.scenarios.matching import Check, When, checks, difference
from fakellm.scenarios.mistakes.difference import Difference

MOST_RULES = 100
"""Rules that are shown, those that come nearest."""


class ShownCondition(Struct, frozen=True):
    """A condition of a rule. `expected`, `actual`: its value and that of the request, as messages show them."""

    field: str
    expected: str
    actual: str
    matches: bool


class ShownRule(Struct, frozen=True):
    """A rule, by its number from 1. `answers`: whether it is the first that the request matches. `differences`: as in
    the explanation of a request that no rule matches."""

    number: int
    name: str
    matches: bool
    answers: bool
    conditions: Sequence[ShownCondition]
    differences: Sequence[str]


class Why(Struct, frozen=True):
    """The rules of a session and a request: the one that answers it, others that it matches, and then those that come
    nearest. `answered_by`: what has answered the request. `more`: how many rules are not shown."""

    answered_by: str | None
    rules: Sequence[ShownRule]
    more: int


def why(rules: Sequence[tuple[str, When]], request: Request, answered_by: str | None) -> Why:
    """Compares a request with rules, each with its name."""
    counts = [len(difference(when, request)) for _, when in rules]
    numbers = nsmallest(MOST_RULES, range(len(rules)), key=lambda number: (counts[number], number))
    answers = counts.index(0) if 0 in counts else None
    shown = [_shown(number, *rules[number], request, number == answers) for number in numbers]
    return Why(answered_by, shown, len(rules) - len(shown))


def _shown(number: int, name: str, when: When, request: Request, answers: bool) -> ShownRule:
    conditions = [_condition(check, check.read(request)) for check in checks(when)]
    differences = [writable(str(each)) for each in difference(when, request)]
    return ShownRule(number + 1, name, not differences, answers, conditions, differences)


def _condition(check: Check, actual: object) -> ShownCondition:
    expected, shown = Difference(check.field, check.expected, actual).values
    return ShownCondition(check.field, writable(expected), writable(shown), bool(check.matches(actual)))
