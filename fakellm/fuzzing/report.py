"""What a run found, for people: the step, what was expected and got, the rule, the bytes and how to see it again."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from fakellm.bugs import BUGS
from fakellm.fuzzing.files import scenario_of
from fakellm.fuzzing.hunt import Failure, Outcome
from fakellm.fuzzing.trial import steps_of
from fakellm.loader import dump
from fakellm.wire import Plan

MOST_FRAMES = 40
"""So many are shown of a response."""


def report(outcome: Outcome, replays: list[str]) -> str:
    """The whole report; `replays` are the commands that show each failure again."""
    search = outcome.search
    many = len(outcome.failures)
    found = f"{many} failure{'s' * (many != 1)}" if many else "no failure"
    head = f"{found} in {outcome.cases} cases (profile {search.profile}, seed {search.seed})"
    parts = [f"{head}, and then interrupted" if outcome.interrupted else head]
    for number, (failure, replay) in enumerate(zip(outcome.failures, replays, strict=True), 1):
        parts.append(f"{number}. {described(failure, replay)}")
    if outcome.leaked:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(outcome.leaked.items()))
        parts.append(f"Raised rightly, but none of the client's own errors: {names}")
    if outcome.unsteady:
        parts.append(f"Failed once and held when tried again, so not told of: {outcome.unsteady} cases")
    return "\n\n".join(parts) + "\n"


def described(failure: Failure, replay: str) -> str:
    """One failure."""
    verdict = failure.tried.verdict
    times = f", {failure.count} times" if failure.count > 1 else ""
    lines = [
        f"{title(failure)}{times}",
        *(f"   {row}: {BUGS[row].what}{_seen(row)}" for row in rows(failure)),
        "",
        f"   {_WHAT[verdict.outcome]}{f': {verdict.field}' if verdict.field else ''}",
        f"   expected  {_short(verdict.expected)}",
        f"   got       {_short(verdict.got)}",
        *([f"   because   {_short(verdict.note)}"] if verdict.note else []),
        "",
        "   Serve it:",
        indent(dump(scenario_of(failure)), "     ").rstrip(),
        "",
        "   On the wire (one line a write; ┊ ends one within an event):",
        indent("\n".join(wire(plan) for plan in failure.tried.plans), "     "),
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


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and "\n" not in value and value else repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
