"""Varies how the replies of a test are sent, with their meaning kept. Owns which steps a run takes and their report.

Knows no pytest: `rerun` runs the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec

from fakellm.apis.protocol import InexpressibleError
from fakellm.apis.route import Route
from fakellm.apis.variation import Variation
from fakellm.base.errors import ReplyError, RequestError
from fakellm.base.seed import Source
from fakellm.base.validation import FieldError
from fakellm.engine.complete import complete
from fakellm.engine.render import render
from fakellm.fuzzing.draws.families import ALL_FAMILIES, options
from fakellm.fuzzing.draws.profiles import profile
from fakellm.fuzzing.draws.steps import steps_of, usual
from fakellm.fuzzing.draws.variations import combined
from fakellm.fuzzing.endpoints import has_effect, with_usual_line_ends
from fakellm.fuzzing.report import scenario, writes
from fakellm.fuzzing.reports.causes import known, named, senders
from fakellm.fuzzing.tiers import WireStep
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Rule, Scenario

PROFILE = "standard"
LEFT_OUT = ("transfer.gzip", "transfer.encoding", "usage: none", "done")
"""Steps that a client may rightly notice: it may not accept compression, and may need the usage or the end mark."""

_FORMS = 6
"""From how many forms of a step, the most revealing first, one is drawn."""

_SHOWN = 3
"""How many replies a report shows."""


class VariedReply(NamedTuple):
    """A reply that was sent in another way: the rule that it is made of, the test's own, and what it answers."""

    rule: Rule
    own: Rule
    request: Request
    route: Route
    seed: int


class Varied:
    """Varies every reply by these families of steps, as far as they apply to it, and remembers the first few.

    The steps depend on the families and the number of the run alone, so a run can be repeated with fewer of them.
    """

    def __init__(self, run: int, families: Sequence[str]) -> None:
        self.run = run
        self.families = tuple(families)
        self.sent: list[VariedReply] = []

    def __call__(self, rule: Rule, request: Request, route: Route, seed: int) -> Rule:
        try:
            stream = combined([rule.stream, *self._steps(rule, request, route, seed)])
        except (RequestError, ReplyError, FieldError, InexpressibleError):  # the reply is refused anyway
            return rule
        dialect = rule.dialect if rule.dialect in route.dialects else None
        varied = msgspec.structs.replace(rule, stream=with_usual_line_ends(stream, usual(dialect, route)))
        if varied.stream == rule.stream:
            return rule
        if len(self.sent) < _SHOWN:
            self.sent.append(VariedReply(varied, rule, request, route, seed))
        return varied

    def _steps(self, rule: Rule, request: Request, route: Route, seed: int) -> Iterator[Variation]:
        if rule.patch or rule.stream.score:
            return  # they count frames, which steps would move
        dialect = rule.dialect if rule.dialect in route.dialects else None
        settings = route.settings(rule.stream, dialect, request, seed, request.stream)
        found = options(complete(rule.reply, request, seed, route.provider(settings.habits)))
        known = profile(PROFILE, LEFT_OUT, route)
        for family in self.families:
            forms = [each for each in found.get(family, ())[:_FORMS] if known.allows(each) and has_effect(route, each)]
            if forms and family in known.families:
                yield Source(self.run, "vary", family).choice(forms)


def runs(count: int) -> Iterator[Varied]:
    """So many runs, among which the families of steps are divided; if there are more runs than families, the rest
    take other forms of them."""
    share = max(1, min(count, len(ALL_FAMILIES)))
    return (Varied(number, ALL_FAMILIES[number % share :: share]) for number in range(count))


def report(varied: Varied, test: str, count: int) -> str:
    """What made the test fail: the steps, the rules that take them, the bytes, and how to reproduce it."""
    first = varied.sent
    steps = list({step.name: step for sent in first for step in _steps_beside_own(sent)}.values())
    sent_by = dict.fromkeys(line for sent in first for line in senders(_steps_beside_own(sent), sent.rule, sent.route))
    rules: list[Rule] = []
    for rule in (shown(sent.rule) for sent in first):
        rules += [] if rule in rules else [rule]
    plans, plain = ([render(rule(sent), sent.request, sent.seed, sent.route) for sent in first] for rule in _BOTH)
    return "\n".join(
        (
            "The test passes with the stream as the scenario has it, and fails if it is sent in another way, which "
            "means the same:",
            "",
            f"   {named(steps)}",
            *(f"   {line}" for line in sent_by),
            *(f"   {line}" for line in known(dict.fromkeys(row for step in steps for row in step.rows))),
            "",
            "   Scenario:",
            scenario(Scenario(rules=tuple(rules))),
            "",
            writes(plans, plain),
            "",
            f"   To reproduce: pytest '{test}' --fakellm-vary {count}",
        )
    )


_BOTH = (attrgetter("rule"), attrgetter("own"))
"""The rule of a reply as it was sent, and the test's own."""


def _steps_beside_own(sent: VariedReply) -> Iterator[WireStep]:
    """The steps that the test's own rule does not take."""
    own = steps_of(sent.own, sent.route)
    return (step for step in steps_of(sent.rule, sent.route) if step not in own)


def shown(rule: Rule) -> Rule:
    """The rule without what only a name of its file gave it."""
    return msgspec.structs.replace(rule, name=None if "#" in (rule.name or "") else rule.name)
