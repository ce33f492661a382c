"""Describes what a run found: the steps, what was expected and returned, the rule, the bytes, how to reproduce it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import starmap
from textwrap import indent
from typing import Any

from fakellm.apis.route import CHAT, Route
from fakellm.fuzzing import tiers
from fakellm.fuzzing.clients.result import NoResult
from fakellm.fuzzing.draws.characters import LINE_ENDS, has, odd
from fakellm.fuzzing.draws.characters import named as named_character
from fakellm.fuzzing.draws.steps import plain_wire, usual
from fakellm.fuzzing.endpoints import name_of
from fakellm.fuzzing.known_bugs import BUGS
from fakellm.fuzzing.oracle.normalize import FIELDS
from fakellm.fuzzing.recorded.steps import is_recorded, provenance
from fakellm.fuzzing.reports.wire_dump import MAX_WIDTH, dumped, legend
from fakellm.fuzzing.saved_failures import scenario_of
from fakellm.fuzzing.search import ClientFailure, Outcome
from fakellm.fuzzing.tiers import WireStep
from fakellm.fuzzing.trial import JudgedCase
from fakellm.scenarios.loader import dump
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.wire.plan import Plan


def report(outcome: Outcome, replays: list[str]) -> str:
    """The whole report; `replays` says for each failure how to reproduce it."""
    search = outcome.search
    head = f"{_counted(len(outcome.failures), 'failure')} in {_counted(outcome.cases, 'case')}"
    api = "" if search.api is CHAT else f"API {name_of(search.api)}, "
    head += f" ({api}profile {search.profile}, seed {search.seed})"
    parts = [f"{head}, then interrupted" if outcome.interrupted else head]
    for number, (failure, replay) in enumerate(zip(outcome.failures, replays, strict=True), 1):
        parts.append(f"{number}. {described(failure, replay)}")
    parts.append(compared(outcome.compared))
    if outcome.internal:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(outcome.internal.items()))
        parts.append(
            f"Raised correctly, but as errors of the language that do not tell a caller what happened: {names}"
        )
        parts += map(_internal, sorted(outcome.internal_cases.items())[:_MOST_INTERNAL])
    if outcome.unsteady and not any(failure.intermittent for failure in outcome.failures):
        parts.append(f"Failed once, then passed when repeated: {_counted(outcome.unsteady, 'case')}")
    if outcome.skipped:
        skipped = _counted(outcome.skipped, "saved failure")
        parts.append(f"Not tried, because the profile does not contain them or they are excluded: {skipped}")
    return "\n\n".join(parts) + "\n"


_MOST_INTERNAL = 3
"""For how many types of such errors a case is shown."""


def _internal(found: tuple[str, JudgedCase]) -> str:
    """The first case with an error of this type."""
    name, case = found
    message = case.returned.message if isinstance(case.returned, NoResult) else ""
    return "\n".join(
        (
            f"{name}, the first time: {_steps_and_wire(case)}",
            *(f"   {line}" for line in senders(case.steps, case.rule, case.api)),
            f"   got       {_short(message)}",
            "   Scenario:",
            scenario(scenario_of(ClientFailure(case))),
        )
    )


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def compared(fields: frozenset[str]) -> str:
    """Which fields were compared, and which were not because the client does not report them; few report `blocks`."""
    known = [field for field in FIELDS if field in fields]
    others = [field for field in FIELDS if field not in fields and field != "blocks"]
    return f"Compared: {', '.join(known)}" + (f"; not reported by the client: {', '.join(others)}" if others else "")


def described(failure: ClientFailure, replay: str) -> str:
    """The part of the report about one failure."""
    verdict = failure.case.verdict
    times = f", in {failure.count} cases" if failure.count > 1 else ""
    lines = [
        f"{title(failure)}{times}",
        *(["   intermittent: each time, the case passed when it was repeated"] if failure.intermittent else []),
        *(["   only right after the first rule below: the client carries something over"] if failure.before else []),
        *(f"   {line}" for line in senders(failure.case.steps, failure.case.rule, failure.case.api)),
        *(f"   {line}" for line in known(rows(failure))),
        "",
        f"   {_OUTCOMES[verdict.outcome]}{f': {verdict.field}' if verdict.field else ''}",
        f"   expected  {_short(verdict.expected)}",
        f"   got       {_short(verdict.actual)}",
        *([f"   because   {_short(verdict.note)}"] if verdict.note else []),
        "",
        "   Scenario:",
        scenario(scenario_of(failure)),
        "",
        writes(failure.case.plans, [failure.case.plain] * len(failure.case.plans)),
        "",
        f"   To reproduce: {replay}",
    ]
    return "\n".join(lines)


_OUTCOMES = {
    "differs": "Wrong result",
    "error": "An error, although the whole answer was sent",
    "silent": "Reported as a success",
    "hung": "No answer in time",
    "driver": "The driver failed",
}


def title(failure: ClientFailure) -> str:
    """The failing steps, as `named` shows them, the wire that they are steps of, and the odd characters of the reply,
    which has none that is not needed to fail."""
    case = failure.case
    characters = odd(case.rule.reply)
    if not characters:
        return _steps_and_wire(case)
    names = ", ".join(map(named_character, characters[:_MOST_CHARACTERS]))
    names += " (A11)" if has(case.rule.reply, LINE_ENDS) else ""
    return (
        f"{_steps_and_wire(case)}; the reply has {names}"
        if case.steps
        else f"{names} in the reply, on {_steps_and_wire(case)}"
    )


def _steps_and_wire(case: JudgedCase) -> str:
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


def scenario(shown: Scenario) -> str:
    """A scenario as a report shows it."""
    return indent(_narrow(dump(shown)), "     ").rstrip()


def writes(plans: Iterable[Plan], plain: Iterable[Plan | None]) -> str:
    """Responses as a report shows them, each with what differs from the plain one; and what the marks mean."""
    shown = "\n".join(starmap(dumped, zip(plans, plain, strict=True)))
    return f"   On the wire (one line per write{legend(shown)}):\n{indent(shown, '   ')}"


def _narrow(text: str) -> str:
    """The text with its very long lines cut; the saved file has them in full."""
    return "\n".join(
        line if len(line) <= MAX_WIDTH else f"{line[:200]}… and {len(line) - 200:,} more characters"
        for line in text.split("\n")
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
