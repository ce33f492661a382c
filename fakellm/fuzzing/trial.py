"""One rule tried on one client. Owns the order of things: play, ask, judge; and what the client has a notion of.

Knows neither where rules come from nor what becomes of a verdict.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.variation import Variation
from fakellm.engine.render import complete
from fakellm.fuzzing.clients.client_process import Asked, CannotRunError
from fakellm.fuzzing.clients.result import Failed, Result
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.normalize import Normal, of_completion, of_result
from fakellm.fuzzing.test_server import Session
from fakellm.fuzzing.tiers import contested
from fakellm.fuzzing.verdicts import Verdict, if_contested, under_fault, under_variation
from fakellm.fuzzing.what_was_sent import heard
from fakellm.model.request import Request, parse
from fakellm.scenarios.scenario import Rule, reply_of
from fakellm.wire.plan import Plan


class Tried(Struct, frozen=True):
    """What became of a rule: the verdict, what came back and what was sent."""

    rule: Rule
    verdict: Verdict
    got: Result | Failed
    plans: tuple[Plan, ...] = ()


class Trial:
    """A client before the server. Raises CannotRunError where it does not even read a plain stream."""

    def __init__(self, client: Asked, session: Session) -> None:
        self._client = client
        self._session = session
        self._calls_alone = False
        self._choices = False
        self.reported = self._notions()

    def _notions(self) -> frozenset[str]:
        """What the client says of plain streams; what it never speaks of counts nowhere."""
        simple = self.ask(Rule(reply=reply_of(cases.SIMPLE)))
        meant = of_completion(cases.SIMPLE, DIALECTS["openai"])
        if isinstance(simple, Failed):
            if simple.how != "raised":
                raise CannotRunError(f"the client gives no answer to a plain stream: {simple.message}")
            raise CannotRunError(f"the client fails on a plain stream already: {simple.type}: {simple.message}")
        if simple.content is UNSET:
            return self._notions_of_calls()
        if of_result(simple)["content"] != meant["content"]:
            message = f"said {meant['content']!r}, got {of_result(simple)['content']!r}"
            raise CannotRunError(f"the client reads a plain stream wrong already: {message}")
        said = {"content"} | {field for field in ("finish_reason", "usage") if getattr(simple, field) is not UNSET}
        for field, base in (("reasoning", cases.REASONED), ("refusal", cases.REFUSED), ("choices", cases.CHOICES)):
            got = self.ask(Rule(reply=reply_of(base)))
            said |= {field} if isinstance(got, Result) and getattr(got, field) is not UNSET else set()
            self._choices = self._choices or self._session.takes_choices
        got = self.ask(Rule(reply=reply_of(cases.CALLS)))
        return frozenset(said | ({"tool_calls"} if isinstance(got, Failed) or got.tool_calls is not UNSET else set()))

    def _notions_of_calls(self) -> frozenset[str]:
        """As `_notions`, of a client that has none of texts: what it says of a tool call."""
        self._calls_alone = True
        got = self.ask(Rule(reply=reply_of(cases.CALL)))
        meant = of_completion(cases.CALL, DIALECTS["openai"])["tool_calls"]
        if isinstance(got, Failed):
            raise CannotRunError(f"the client fails on a plain tool call: {got.type or got.how}: {got.message}")
        if of_result(got)["tool_calls"] != meant:
            message = f"said {meant}, got {of_result(got)['tool_calls']}"
            raise CannotRunError(f"the client gives no content, and reads a plain tool call wrong: {message}")
        fields = ("tool_calls", "finish_reason", "usage")
        return frozenset(field for field in fields if getattr(got, field) is not UNSET)

    def ask(self, rule: Rule) -> Result | Failed:
        """What the client makes of a rule."""
        self._session.play(rule)
        got = self._client.ask(self._session.base_url, cases.request(rule))
        self._session.rest()
        return Failed("hung", message="it had to be cut off") if self._session.late else got

    def judge(self, rule: Rule) -> Tried:
        """The verdict on what the client makes of a rule."""
        rule = self._acceptable(rule)
        got = self.ask(rule)
        plans = tuple(self._session.plans)
        return Tried(rule, self._verdict(rule, got, plans), got, plans)

    def _acceptable(self, rule: Rule) -> Rule:
        """The rule, with one tool call alone for a client that reads nothing else; with one choice for a client that
        asks for one, whatever it is told to; and not compressed where the client does not ask for that (RFC 9110,
        section 12.5.3)."""
        if self._calls_alone:
            rule = cases.one_call(rule)
        if not self._choices:
            rule = cases.one_choice(rule)
        transfer = rule.stream.transfer
        if transfer is None or not transfer.gzip or self._session.takes_gzip:
            return rule
        plain = msgspec.structs.replace(transfer, gzip=False)
        return msgspec.structs.replace(rule, stream=msgspec.structs.replace(rule.stream, transfer=plain))

    def _verdict(self, rule: Rule, got: Result | Failed, plans: tuple[Plan, ...]) -> Verdict:
        dialect = DIALECTS[rule.dialect or "openai"]
        found = _contested(rule)
        if rule.fault is not None:
            ways = [way for plan in plans for way in heard(plan, dialect)]
            sayings = [(way, of_completion(way.completion, dialect)) for way in ways]
            return under_fault(sayings, got, self.reported - _open_to(found))
        meant = self.meant(rule)
        if not set(found) <= {"usage: running"}:
            return if_contested(meant, got, self.reported, found)
        verdict = under_variation(meant, got, self.reported - {"usage"} if found else self.reported)
        return verdict if not verdict.failed or not self._refuses(rule, got) else Verdict("raised")

    def meant(self, rule: Rule) -> Normal:
        """What a rule says, less what its variation leaves out."""
        dialect = DIALECTS[rule.dialect or "openai"]
        completion = complete(rule.reply, _ASKED, 0, dialect)
        if rule.stream.over(dialect.usual).usage == "none":
            completion = msgspec.structs.replace(completion, usage=None)
        return of_completion(completion, dialect)

    def _refuses(self, rule: Rule, got: Result | Failed) -> bool:
        """Whether it is the answer that the client raises an error at, whatever the wire: a refusal, an answer that was
        cut short, several choices where it knows one."""
        choices = rule.reply.choices or (rule.reply,)
        special = len(choices) > 1 or choices[0].refusal or choices[0].finish_reason in ("length", "content_filter")
        if not special or not isinstance(got, Failed) or got.how != "raised":
            return False
        plain = self.ask(Rule(reply=rule.reply)) if rule.stream != Variation() else got
        return isinstance(plain, Failed) and plain.type == got.type


def _contested(rule: Rule) -> list[str]:
    """The steps of the rule and of its dialect's usual wire that two sane clients may read differently, where they
    show: how reasoning is sent matters to no answer without any."""
    reasons = any(choice.reasoning for choice in rule.reply.choices or (rule.reply,))
    found = contested(rule.stream.over(DIALECTS[rule.dialect or "openai"].usual))
    return [step.name for step in found if reasons or not step.name.startswith("reasoning")]


def _open_to(contested: list[str]) -> set[str]:
    """The fields that contested steps leave open."""
    fields = {"usage"} if "usage: running" in contested else set()
    return fields | ({"content", "reasoning"} if any(step.startswith("reasoning") for step in contested) else set())


_ASKED: Request = parse(b'{"model": "fakellm", "messages": [{"role": "user", "content": "Hello"}], "stream": true}')
"""For the gaps of a reply that a person wrote."""
