"""Tries rules on a client: serve, ask, judge. Owns that order, and which fields the client reports.

Knows neither where rules come from nor what is done with the verdicts, and of an API only its protocol.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct

from fakellm.apis.protocol import Settings
from fakellm.apis.route import CHAT, Route
from fakellm.apis.variation import Variation
from fakellm.engine.complete import complete
from fakellm.engine.what_was_sent import WireReading, readings
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_under_test import ClientUnderTest, PlainStreamError
from fakellm.fuzzing.clients.result import NoResult, Result
from fakellm.fuzzing.draws import base_answers as bases
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.answers import reply as reply_to
from fakellm.fuzzing.draws.steps import plain_wire, steps_of, usual
from fakellm.fuzzing.endpoints import example_request, name_of, settings_of, with_less, with_usual_line_ends
from fakellm.fuzzing.oracle.cuts import Cuts, cuts_of
from fakellm.fuzzing.oracle.normalize import Normal, of_completion, of_result
from fakellm.fuzzing.oracle.verdicts import Verdict, if_contested, under_fault, under_variation
from fakellm.fuzzing.reports.not_tried import api_requested, not_tried
from fakellm.fuzzing.tiers import WireStep, contested
from fakellm.scenarios.scenario import Rule
from fakellm.wire.plan import Plan


class JudgedCase(Struct, frozen=True):
    """A rule that was tried: the verdict, what the client returned and what was sent.

    plain: what would have been sent without the rule's steps and fault; of a failing case alone. cuts: whether the
    client saw where the body was cut.
    """

    rule: Rule
    verdict: Verdict
    returned: Result | NoResult
    plans: tuple[Plan, ...] = ()
    api: Route = CHAT
    plain: Plan | None = None
    cuts: Cuts = ""

    @property
    def steps(self) -> list[WireStep]:
        """The rule's steps away from the usual wire."""
        return steps_of(self.rule, self.api)


class Trial:
    """A client and the server that it is tried on. Raises CannotRunError if the client cannot read a plain stream.

    each_read: whether a client on the same HTTP stack that decodes each read alone fails on cuts; None if unknown.
    """

    def __init__(
        self, client: ClientUnderTest, server: CaseServer, api: Route = CHAT, each_read: bool | None = None
    ) -> None:
        self._each_read = each_read
        self._client = client
        self._server = server
        self._api = api
        self._name = name_of(api)
        self._request = example_request(api)  # fills what a hand-written reply leaves out
        self._plain = self._settings(Variation(), None).habits
        self._only_one_call = False
        self._accepts_choices = False
        self.reported = self._reported_fields()

    def _reported_fields(self) -> frozenset[str]:
        """The fields that the client reports for plain streams. Others are never compared."""
        rule = Rule(reply=reply_to(bases.SIMPLE))
        simple = self.ask(rule)
        expected = self.expected(rule)["content"]
        if api_requested(self._server.requested) not in (None, self._name):
            raise self._not_tried(f"the client is not one of the API {self._name}", expected)
        if isinstance(simple, NoResult):
            if simple.how != "raised":
                raise self._not_tried(f"the client returns no result for a plain stream: {simple.message}", expected)
            raise self._not_tried(f"the client fails on a plain stream: {simple.type}: {simple.message}", expected)
        if simple.content is UNSET:
            return self._reported_fields_of_a_call()
        actual = of_result(simple)["content"]
        if actual != expected:
            raise self._not_tried(f"the client misreads a plain stream: got {actual!r}", expected)
        others = ("finish_reason", "usage", "blocks")
        fields = {"content"} | {field for field in others if getattr(simple, field) is not UNSET}
        for field, base in (
            ("reasoning", bases.REASONED),
            ("refusal", bases.REFUSED),
            ("choices", bases.CHOICES),
        ):
            returned = self.ask(Rule(reply=reply_to(base)))
            fields |= {field} if isinstance(returned, Result) and getattr(returned, field) is not UNSET else set()
            self._accepts_choices = self._accepts_choices or self._server.accepts_choices
        returned = self.ask(Rule(reply=reply_to(bases.CALLS)))
        calls = isinstance(returned, NoResult) or returned.tool_calls is not UNSET
        return frozenset(fields | ({"tool_calls"} if calls else set()))

    def _reported_fields_of_a_call(self) -> frozenset[str]:
        """As `_reported_fields`, for a client that returns no content: what it reports for one tool call."""
        self._only_one_call = True
        rule = Rule(reply=reply_to(bases.CALL))
        returned = self.ask(rule)
        expected = self.expected(rule)["tool_calls"]
        if isinstance(returned, NoResult):
            error = f"{returned.type or returned.how}: {returned.message}"
            raise self._not_tried(f"the client fails on a plain tool call: {error}", expected)
        actual = of_result(returned)["tool_calls"]
        if actual != expected:
            problem = f"the client returns no content, and misreads a plain tool call: got {actual}"
            raise self._not_tried(problem, expected)
        fields = ("tool_calls", "finish_reason", "usage", "blocks")
        return frozenset(field for field in fields if getattr(returned, field) is not UNSET)

    def _not_tried(self, problem: str, expected: Any) -> PlainStreamError:
        return not_tried(problem, expected, self._server.requested, self._name, self._server.plans)

    def ask(self, rule: Rule) -> Result | NoResult:
        """What the client returns when `rule` answers it."""
        self._server.play(rule)
        returned = self._client.ask(self._server.base_url, cases.request(rule, self._api))
        self._server.finish()
        return NoResult("hung", message="its connections had to be closed") if self._server.late else returned

    def judge(self, rule: Rule) -> JudgedCase:
        """The rule, adapted to the API and the client, with the verdict on what the client returns."""
        rule = self._acceptable(self._sendable(rule))
        returned = self.ask(rule)
        plans = tuple(self._server.plans)
        verdict = self._verdict(rule, returned, plans)
        plain = self._server.plain(rule) if verdict.failed else None
        cuts = cuts_of(rule, returned, plans, self._each_read)
        return JudgedCase(rule, verdict, returned, plans, self._api, plain, cuts)

    def _sendable(self, rule: Rule) -> Rule:
        """The rule without a dialect that the API does not have, and without what its `stream:` block sets to no effect
        on what this API sends."""
        if self._api is CHAT:
            return rule
        dialect = rule.dialect if rule.dialect in self._api.dialects else None
        stream = with_usual_line_ends(rule.stream, usual(dialect, self._api))
        settings = self._settings(stream, dialect)
        for fewer in with_less(stream):
            smaller = fewer(stream)
            if smaller not in (None, stream) and self._settings(smaller, dialect) == settings:
                stream = smaller
        return msgspec.structs.replace(rule, stream=stream, dialect=dialect)

    def _settings(self, stream: Variation, dialect: str | None) -> Settings[Any]:
        return settings_of(self._api, stream, dialect)

    def _acceptable(self, rule: Rule) -> Rule:
        """The rule without what this client does not request: with one tool call if it reads nothing else, with one
        choice if it does not pass `n` on, and uncompressed if it does not accept the coding (RFC 9110, 12.5.3)."""
        if self._only_one_call:
            rule = cases.one_call(rule)
        if not self._accepts_choices:
            rule = cases.one_choice(rule)
        transfer = rule.stream.transfer
        coding = transfer and ("gzip" if transfer.gzip else transfer.encoding)
        if transfer is None or not coding or self._server.accepts(coding):
            return rule
        plain = msgspec.structs.replace(transfer, gzip=False, encoding=None)
        return msgspec.structs.replace(rule, stream=msgspec.structs.replace(rule.stream, transfer=plain))

    def _verdict(self, rule: Rule, returned: Result | NoResult, plans: tuple[Plan, ...]) -> Verdict:
        steps = self._contested(rule)
        if rule.fault is not None:
            return under_fault(self._readings(rule, plans), returned, self.reported - _left_open_by(steps))
        expected = self.expected(rule)
        if not set(steps) <= {"usage: running"}:
            verdict = if_contested(expected, returned, self.reported, steps)
            if verdict.failed and any(step.startswith("sse.ends_with") for step in steps):
                return self._without_the_last_event(rule, returned, plans) or verdict
            return verdict
        verdict = under_variation(expected, returned, self.reported - {"usage"} if steps else self.reported)
        return verdict if not verdict.failed or not self._rejects(rule, returned) else Verdict("raised")

    def _readings(self, rule: Rule, plans: tuple[Plan, ...]) -> list[tuple[WireReading, Normal]]:
        """The correct ways to read what was sent."""
        choices = len(rule.reply.choices or (rule.reply,)) if "choices" in self.reported else 1
        habits = self._settings(Variation(), rule.dialect).habits
        found = [reading for plan in plans for reading in readings(plan, self._api, habits, choices)]
        return [(reading, of_completion(reading.completion, self._api.provider(habits))) for reading in found]

    def _without_the_last_event(
        self, rule: Rule, returned: Result | NoResult, plans: tuple[Plan, ...]
    ) -> Verdict | None:
        """The verdict on a client that discarded a last event without its blank line, as the standard has it, where
        what came before looks like a whole answer; None if it returned anything else."""
        verdict = under_fault(self._readings(rule, plans), returned, self.reported)
        return verdict if verdict.outcome == "held" else None

    def expected(self, rule: Rule) -> Normal:
        """The content of a rule's reply that the API can express, less what its variation leaves out."""
        settings = self._settings(rule.stream, rule.dialect)
        provider = self._api.provider(settings.habits)
        completion = complete(rule.reply, self._request, 0, provider)
        if self._api.restates:
            completion = self._api.restate(completion, self._request, rule.reply.usage is UNSET)
        if settings.division.usage == "none":
            completion = msgspec.structs.replace(completion, usage=None)
        habits = self._plain if self._api is CHAT else settings.habits
        return of_completion(self._api.expressible(completion, habits), provider)

    def _rejects(self, rule: Rule, returned: Result | NoResult) -> bool:
        """Whether the client raises an error because of the answer, however it is sent: for a refusal, an answer that
        was cut short, or several choices although it knows only one."""
        choices = rule.reply.choices or (rule.reply,)
        special = len(choices) > 1 or choices[0].refusal or choices[0].finish_reason in ("length", "content_filter")
        if not special or not isinstance(returned, NoResult) or returned.how != "raised":
            return False
        plain = self.ask(Rule(reply=rule.reply)) if rule.stream != Variation() else returned
        return isinstance(plain, NoResult) and plain.type == returned.type

    def _contested(self, rule: Rule) -> list[str]:
        """The contested steps of the rule and of its dialect's usual wire, as far as they show: how reasoning is sent
        does not matter to an answer without reasoning."""
        reasoning = any(choice.reasoning for choice in rule.reply.choices or (rule.reply,))
        steps = contested(rule.stream.over(usual(rule.dialect, self._api)), plain_wire(self._api), self._name)
        return [step.name for step in steps if reasoning or not step.name.startswith("reasoning")]


def _left_open_by(steps: list[str]) -> set[str]:
    """The fields whose value contested steps leave open."""
    fields = {"usage"} if "usage: running" in steps else set()
    return fields | ({"content", "reasoning"} if any(step.startswith("reasoning") for step in steps) else set())
