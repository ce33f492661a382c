"""Describes what a run found: the steps, what was expected and returned, the rule, the bytes, how to reproduce it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import starmap
from textwrap import indent
from typing import Any

from fakellm.base.words.count import count
from fakellm.fuzzing.clients.result import NoResult
from fakellm.fuzzing.endpoints import name_of
from fakellm.fuzzing.oracle.normalize import FIELDS
from fakellm.fuzzing.reports.causes import known, rows, senders, steps_and_wire, title
from fakellm.fuzzing.reports.run_report import ReportedFailure, RunReport, RunSettings
from fakellm.fuzzing.reports.wire_dump import MAX_WIDTH, dumped, legend
from fakellm.fuzzing.saved_failures import scenario_of
from fakellm.fuzzing.search import ClientFailure, Outcome
from fakellm.fuzzing.trial import JudgedCase
from fakellm.model.blocks import ToolCall
from fakellm.scenarios.loader import dump
from fakellm.scenarios.reply import choice_blocks
from fakellm.scenarios.scenario import Scenario
from fakellm.wire.plan import Plan

_MOST_INTERNAL = 3
"""For how many types of errors of the language a case is shown."""


def run_report(outcome: Outcome, command: Sequence[str] = ()) -> RunReport:
    """What the run found, as plain values; `command` starts the client."""
    search = outcome.search
    settings = RunSettings(
        api=name_of(search.api),
        profile=search.profile,
        seed=search.seed,
        examples=search.examples,
        exclude=search.exclude,
        max_failures=search.max_failures,
    )
    return RunReport(
        settings=settings,
        command=tuple(command),
        shard=search.shard,
        cases=outcome.cases,
        compared=tuple(sorted(outcome.compared)),
        tried=outcome.tried,
        failures=[reported_failure(failure) for failure in outcome.failures],
        cuts=outcome.cuts,
        internal=outcome.internal,
        internal_first={name: _encodable(_internal(name, case)) for name, case in outcome.internal_first.items()},
        unsteady=outcome.unsteady,
        unsteady_first=reported_failure(outcome.unsteady_first) if outcome.unsteady_first else None,
        skipped=outcome.skipped,
        unreadable=outcome.unreadable,
        ended="interrupted" if outcome.interrupted else "out of time" if outcome.out_of_time else "",
        problem=outcome.problem,
    )


def report(run: RunReport, replays: Sequence[str]) -> str:
    """The whole report; `replays` says for each failure how to reproduce it."""
    parts = [_head(run)]
    for number, (found, replay) in enumerate(zip(run.failures, replays, strict=True), 1):
        times = f", in {count(found.count, 'case')}" if found.count > 1 else ""
        parts.append(f"{number}. {found.title}{times}\n{found.text}\n\n   To reproduce: {replay}")
    if run.compared:
        parts.append(compared(frozenset(run.compared)))
    if hidden := [_CUTS[name].format(count(run.cuts[name], "case", "no")) for name in _CUTS if run.cuts.get(name)]:
        parts.append(f"Cuts of the body: {'; '.join(hidden)}")
    if run.internal:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(run.internal.items()))
        parts.append(
            f"Raised correctly, but as errors of the language that do not tell a caller what happened: {names}"
        )
        parts += [text for _, text in sorted(run.internal_first.items())[:_MOST_INTERNAL]]
    if run.unsteady and not any(found.intermittent for found in run.failures):
        parts.append(f"Failed once, then passed when repeated: {count(run.unsteady, 'case', 'no')}")
    for skipped, reason in (
        (run.skipped, "the profile does not contain them or they are excluded"),
        (run.unreadable, "they cannot be read"),
    ):
        if skipped:
            parts.append(f"Not tried, because {reason}: {count(skipped, 'saved failure')}")
    if run.problem:
        parts.append(f"Cases are missing: {run.problem}")
    return "\n\n".join(parts) + "\n"


_CUTS = {
    "not visible": "not visible to the client in {}, because several pieces arrived in one read",
    "unconfirmed": "unconfirmed in {}: it reports no `reads`, so the client may not have seen the cut",
}
"""How a report describes cuts that the client passed, perhaps without having seen them."""


def _internal(name: str, case: JudgedCase) -> str:
    """The first case in which a client raised an error of this type."""
    message = case.returned.message if isinstance(case.returned, NoResult) else ""
    return "\n".join(
        (
            f"{name}, the first time: {steps_and_wire(case)}",
            *(f"   {line}" for line in senders(case.steps, case.rule, case.api)),
            f"   got       {_short(message)}",
            "   Scenario:",
            scenario(scenario_of(ClientFailure(case))),
        )
    )


def _head(run: RunReport) -> str:
    settings = run.settings
    api = "" if settings.api == "chat" else f"API {settings.api}, "
    shard = "" if run.shard == (1, 1) else f", shard {run.shard[0]}/{run.shard[1]}"
    found = f"{count(len(run.failures), 'failure', 'no')} in {count(run.cases, 'case', 'no')}"
    ended = f", then {run.ended}" if run.ended else ""
    return f"{found} ({api}profile {settings.profile}, seed {settings.seed}{shard}){ended}"


def compared(fields: frozenset[str]) -> str:
    """Which fields were compared, and which were not because the client does not report them; few report `blocks`."""
    known = [field for field in FIELDS if field in fields]
    others = [field for field in FIELDS if field not in fields and field != "blocks"]
    return f"Compared: {', '.join(known)}" + (f"; not reported by the client: {', '.join(others)}" if others else "")


def reported_failure(failure: ClientFailure) -> ReportedFailure:
    """What a report has about one failure."""
    steps, verdict = failure.case.steps, failure.case.verdict
    expected, actual, note = map(_short, (verdict.expected, verdict.actual, verdict.note))
    summary = [
        f"{_OUTCOMES[verdict.outcome]}{f': {verdict.field}' if verdict.field else ''}",
        f"expected  {expected}",
        f"got       {actual}",
        *([f"because   {note}"] if verdict.note else []),
        *(["note      empty arguments count as {}"] if _has_empty_arguments(failure.case) else []),
    ]
    return ReportedFailure(
        number=failure.number,
        count=failure.count,
        cause=failure.cause,
        tier=max((step.tier for step in steps), default="plain"),
        steps=tuple(step.name for step in steps),
        title=_encodable(title(failure)),
        outcome=verdict.outcome,
        summary=_encodable("\n".join(summary)),
        text=_encodable(_described(failure, summary)),
        scenario=dump(scenario_of(failure)),
        intermittent=failure.intermittent,
    )


def _has_empty_arguments(case: JudgedCase) -> bool:
    """Whether the expected calls of a verdict are of a reply that has empty text in place of arguments."""
    reply = case.rule.reply
    calls = (block for choice in reply.choices or (reply,) for block in choice_blocks(choice))
    empty = any(isinstance(call, ToolCall) and not call.arguments.strip() for call in calls)
    return empty and case.verdict.field in ("tool_calls", "blocks", "choices")


def _described(failure: ClientFailure, summary: Iterable[str]) -> str:
    """The part of the report about one failure, below its title."""
    lines = [
        *(["   intermittent: each time, the case passed when it was repeated"] if failure.intermittent else []),
        *(["   only right after the first rule below: the client carries something over"] if failure.before else []),
        *(f"   {line}" for line in senders(failure.case.steps, failure.case.rule, failure.case.api)),
        *(f"   {line}" for line in known(rows(failure))),
        "",
        *(f"   {line}" for line in summary),
        "",
        "   Scenario:",
        scenario(scenario_of(failure)),
        "",
        writes(failure.case.plans, [failure.case.plain if failure.case.steps else None] * len(failure.case.plans)),
    ]
    return "\n".join(lines)


def _encodable(text: str) -> str:
    """The text with escapes for halves of surrogate pairs, which no file may contain."""
    return text.encode("utf-8", "backslashreplace").decode()


_OUTCOMES = {
    "differs": "Wrong result",
    "error": "An error, although the whole answer was sent",
    "silent": "Reported as a success",
    "hung": "No answer in time",
    "driver": "The driver failed",
}


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
