"""Names what a case needs to fail: its steps, their wire, who sends them, odd characters of the reply, known bugs."""

from __future__ import annotations

from collections.abc import Iterable

from fakellm.apis.route import Route
from fakellm.fuzzing import tiers
from fakellm.fuzzing.draws.characters import LINE_ENDS, has, odd
from fakellm.fuzzing.draws.characters import named as named_character
from fakellm.fuzzing.draws.steps import plain_wire, usual
from fakellm.fuzzing.endpoints import name_of
from fakellm.fuzzing.known_bugs import BUGS
from fakellm.fuzzing.recorded.steps import is_recorded, provenance
from fakellm.fuzzing.search import ClientFailure
from fakellm.fuzzing.tiers import WireStep
from fakellm.fuzzing.trial import JudgedCase
from fakellm.scenarios.scenario import Rule


def title(failure: ClientFailure) -> str:
    """The failing steps, as `named` shows them, the wire that they are steps of, and the odd characters of the reply,
    which has none that is not needed to fail."""
    case = failure.case
    characters = odd(case.rule.reply)
    if not characters:
        return steps_and_wire(case)
    names = ", ".join(map(named_character, characters[:_MOST_CHARACTERS]))
    names += " (A11)" if has(case.rule.reply, LINE_ENDS) else ""
    return (
        f"{steps_and_wire(case)}; the reply has {names}"
        if case.steps
        else f"{names} in the reply, on {steps_and_wire(case)}"
    )


def steps_and_wire(case: JudgedCase) -> str:
    """The steps of a case, and the wire that they are steps of."""
    where = "" if case.rule.dialect in (None, "openai") else f" on the usual wire of {case.rule.dialect}"
    return (named(case.steps) or "the plain wire") + where


_MOST_CHARACTERS = 5
"""How many odd characters of a reply are named."""


def named(steps: Iterable[WireStep]) -> str:
    """Steps with their tiers and, if they are known to break clients, the rows of the bug list."""
    return " with ".join(f"{step.name} ({': '.join(filter(None, (step.tier, ' '.join(step.rows))))})" for step in steps)


def rows(failure: ClientFailure) -> list[str]:
    """The rows of the bug list that name the failing steps, and the characters of the reply."""
    of_characters = ["A11"] if has(failure.case.rule.reply, LINE_ENDS) else []
    return list(dict.fromkeys([*(row for step in failure.case.steps for row in step.rows), *of_characters]))


def senders(steps: Iterable[WireStep], rule: Rule, api: Route) -> list[str]:
    """Who sends each of these steps of a rule."""
    name = name_of(api)
    away = {step.name for step in tiers.steps(rule.stream, plain_wire(api), name)}
    back = {step.name for step in tiers.steps(rule.stream, usual(rule.dialect, api), name)} - away
    back = {each for each in back if not is_recorded(each, name)}
    return [f"{step.name}: {BACK if step.name in back else provenance(step.name, step.tier, name)}" for step in steps]


BACK = "the plain wire, which the dialect departs from"
"""What a step is that leads from the usual wire of a dialect back to the plain one."""


def known(rows: Iterable[str]) -> list[str]:
    """What these rows of the bug list describe, with links to reports."""
    return [f"{row}: {BUGS[row].what}{_links(row)}" for row in rows]


def _links(row: str) -> str:
    return f" ({', '.join(BUGS[row].threads)})" if BUGS[row].threads else ""
