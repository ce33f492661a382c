"""The cases of a run: their order, their numbers, and the parts into which shards and jobs divide them.

A case has the same number however a run is divided. Knows neither clients nor verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import msgspec
from msgspec import Struct

from fakellm.base.seed import Source
from fakellm.fuzzing import draws
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.characters import characters_of, without
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.search import Search
from fakellm.scenarios.scenario import Rule, Scenario


class CasePart(Struct, frozen=True):
    """The cases with the numbers `first`, `first + step`, `first + 2 * step` and so on. The first of a run is 0."""

    first: int = 0
    step: int = 1

    def __contains__(self, number: int) -> bool:
        return number >= self.first and (number - self.first) % self.step == 0


WHOLE = CasePart()


def numbered(search: Search, part: CasePart) -> Iterator[tuple[int, Rule]]:
    """The cases of a part of the run, with their numbers; without end if the search has no number of examples."""
    numbers = count(part.first, part.step) if search.examples is None else range(part.first, search.examples, part.step)
    return zip(numbers, cases_of(search, part), strict=False)


def cases_of(search: Search, part: CasePart = WHOLE) -> Iterator[Rule]:
    """The cases of a part of a run, without the characters that are excluded."""
    characters = characters_of(search.exclude)
    for rule in _all_cases(search, part):
        yield msgspec.structs.replace(rule, reply=without(rule.reply, characters)) if characters else rule


def _all_cases(search: Search, part: CasePart) -> Iterator[Rule]:
    """The cases of every run; after them, without end, what the seed draws, alternating with other known cases: first
    the other values of each step, then the rest. What is not in the part is not drawn."""
    profile = profile_of(search.profile, search.exclude, search.api)
    numbers = count()
    yield from (rule for rule in cases.first(profile) if next(numbers) in part)
    values, others, picks = list(cases.values(profile)), list(cases.again(profile)), Source(search.seed, "known")
    for number in count():
        if next(numbers) in part:
            source = Source(search.seed, "case", number)
            yield rule_of(draws.scenario(source, search.profile, search.exclude, search.api))
        if known := values or others:
            rule = known.pop(picks.below(len(known)))
            if next(numbers) in part:
                yield rule


def rule_of(scenario: Scenario) -> Rule:
    """The one rule of a scenario, with its dialect."""
    rule = scenario.rules[0]
    return rule if rule.dialect else msgspec.structs.replace(rule, dialect=scenario.dialect)
