"""What a run found, for people: the step, what was expected and got, the rule, the bytes and how to see it again."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.known_bugs import BUGS
from fakellm.fuzzing.normalize import FIELDS
from fakellm.fuzzing.saved_failures import scenario_of
from fakellm.fuzzing.search import Failure, Outcome
from fakellm.scenarios.loader import dump
from fakellm.wire.plan import Plan

MOST_FRAMES = 40
"""So many are shown of a response."""
MOST_WIDE = 2000
"""Characters of a line that are shown."""


def report(outcome: Outcome, replays: list[str]) -> str:
    """The whole report; `replays` are the commands that show each failure again."""
    search = outcome.search
    many = len(outcome.failures)
    found = f"{many} failure{'s' * (many != 1)}" if many else "no failure"
    head = f"{found} in {outcome.cases} cases (profile {search.profile}, seed {search.seed})"
    parts = [f"{head}, and then interrupted" if outcome.interrupted else head]
    for number, (failure, replay) in enumerate(zip(outcome.failures, replays, strict=True), 1):
        parts.append(f"{number}. {described(failure, replay)}")
    parts.append(compared(outcome.compared))
    if outcome.leaked:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(outcome.leaked.items()))
        parts.append(f"Right to raise, but errors of the language, which tell a caller nothing: {names}")
    if outcome.unsteady and not any(failure.sometimes for failure in outcome.failures):
        parts.append(f"Cases that failed once and held when they were tried again: {outcome.unsteady}")
    return "\n\n".join(parts) + "\n"


def compared(fields: frozenset[str]) -> str:
    """What was compared, and what was not since the client says nothing of it."""
    known = [field for field in FIELDS if field in fields]
    others = [field for field in FIELDS if field not in fields]
    return f"Compared: {', '.join(known)}" + (f"; not told by the client: {', '.join(others)}" if others else "")


def described(failure: Failure, replay: str) -> str:
    """One failure."""
    verdict = failure.tried.verdict
    times = f", {failure.count} times" if failure.count > 1 else ""
    lines = [
        f"{title(failure)}{times}",
        *(["   now and then: each time it held when it was tried again"] if failure.sometimes else []),
        *(["   only right after the first rule below: something is carried over"] if failure.before else []),
        *(f"   {row}: {BUGS[row].what}{_seen(row)}" for row in rows(failure)),
        "",
        f"   {_WHAT[verdict.outcome]}{f': {verdict.field}' if verdict.field else ''}",
        f"   expected  {_short(verdict.expected)}",
        f"   got       {_short(verdict.got)}",
        *([f"   because   {_short(verdict.note)}"] if verdict.note else []),
        "",
        "   Serve it:",
        indent(_narrow(dump(scenario_of(failure))), "     ").rstrip(),
        "",
        "   On the wire (one line a write; ┊ ends one within an event):",
        indent(_narrow("\n".join(wire(plan) for plan in failure.tried.plans)), "     "),
        "",
        f"   Again: {replay}",
    ]
    return "\n".join(lines)


_WHAT = {
    "differs": "another result",
    "error": "an error, though all of the answer was there",
    "silent": "a success that was none",
    "hung": "no answer in time",
    "driver": "the driver failed",
}


def title(failure: Failure) -> str:
    """The failing steps with their tiers, and the rows of the list of client bugs where they have been seen."""
    rule = failure.tried.rule
    found = [f"{step.name} ({step.tier}{': ' + ' '.join(step.rows) if step.rows else ''})" for step in steps_of(rule)]
    where = "" if rule.dialect in (None, "openai") else f" on the wire of {rule.dialect}"
    return (" with ".join(found) or "the plain wire") + where


def rows(failure: Failure) -> list[str]:
    """The rows of the list of client bugs that the failing steps are known from."""
    return list(dict.fromkeys(row for step in steps_of(failure.tried.rule) for row in step.rows))


def _seen(row: str) -> str:
    return f" ({', '.join(BUGS[row].seen)})" if BUGS[row].seen else ""


def wire(plan: Plan) -> str:
    """A response: its head in a line, and its frames."""
    head = "no head" if plan.status is None else f"HTTP {plan.status}"
    ending = "" if plan.end == "complete" else f"<{plan.end}>"
    lines = [f"{head} {dict(plan.headers).get('Content-Type', '')}".rstrip()]
    for frame in plan.frames[:MOST_FRAMES]:
        text = frame.data.decode("utf-8", "backslashreplace")
        whole = text.endswith(("\n\n", "\r\r", "\r\n\r\n", "\n\r\n"))
        shown = "".join(_visible(character) for character in text)
        lines.append(shown if whole else f"{shown}┊")
    more = len(plan.frames) - MOST_FRAMES
    return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else []), *([ending] if ending else [])])


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _narrow(text: str) -> str:
    """The text with its very long lines cut; they are whole in the file that is kept."""
    return "\n".join(
        line if len(line) <= MOST_WIDE else f"{line[:200]}… and {len(line) - 200:,} characters more"
        for line in text.split("\n")
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and "\n" not in value and value else repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
