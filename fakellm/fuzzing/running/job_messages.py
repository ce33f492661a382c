"""What a run and its jobs send each other. Rules are sent as YAML, and an API by its name.

A pickled rule equals the original, but its defaults are other objects, so a report would spell them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from fakellm.apis.route import Route
from fakellm.fuzzing.clients.result import NoResult, Result
from fakellm.fuzzing.endpoints import fuzzed_api, name_of
from fakellm.fuzzing.oracle.verdicts import Verdict
from fakellm.fuzzing.running.case_order import CasePart
from fakellm.fuzzing.running.judging import Judged
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.trial import JudgedCase
from fakellm.scenarios.loader import dump, parse
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.wire.plan import Plan


class Setup(Struct, frozen=True):
    """What a job needs: the search, the saved failures and the cases that it tries, and the arguments of its Driver."""

    settings: dict[str, Any]
    saved: Sequence[str]
    part: CasePart
    command: Sequence[str]
    timeout: float
    patience: float

    @property
    def search(self) -> Search:
        return Search(**self.settings | {"api": fuzzed_api(self.settings["api"])})


class SentCase(Struct, frozen=True):
    """A case that was judged. If that has the case, here are the verdict, what the client returned, what was sent and
    what would have been sent without steps; and the rule."""

    judged: Judged
    case: tuple[Verdict, Result | NoResult, tuple[Plan, ...], Plan | None] | None = None
    rule: str = ""
    before: str = ""


def settings_of(search: Search) -> dict[str, Any]:
    """The search as it is sent."""
    return asdict(search) | {"api": name_of(search.api)}


def sent(judged: Judged) -> SentCase:
    """A case as it is sent."""
    case, before = judged.case, judged.before
    if case is None:
        return SentCase(judged)
    about = (case.verdict, case.returned, case.plans, case.plain)
    return SentCase(
        replace(judged, case=None, before=None), about, written(case.rule), written(before) if before else ""
    )


def received(message: SentCase, api: Route) -> Judged:
    """The case in a message."""
    if message.case is None:
        return message.judged
    verdict, returned, plans, plain = message.case
    case = JudgedCase(rule_in(message.rule), verdict, returned, plans, api, plain)
    return replace(message.judged, case=case, before=rule_in(message.before) if message.before else None)


def written(rule: Rule) -> str:
    """The rule as YAML."""
    return dump(Scenario(rules=(rule,)))


def rule_in(text: str) -> Rule:
    """The rule in YAML."""
    return parse(text, "a rule").rules[0]
