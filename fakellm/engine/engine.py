"""(scenario, seed) and a request to an answer. Owns a session's state: its scenario and its journal.

Knows no sockets and no clock; one engine a session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from fakellm.apis.chat.writer import write_error
from fakellm.apis.openai.response_headers import usual
from fakellm.apis.route import CHAT, Route
from fakellm.base.errors import ReplyError, RequestError
from fakellm.base.json_text import JSON, dumps
from fakellm.base.validation import FieldError
from fakellm.engine.journal import Journal
from fakellm.engine.render import generated, render
from fakellm.engine.resolve import said
from fakellm.faults import Fault
from fakellm.model.request import Request
from fakellm.scenarios.matching import Matcher
from fakellm.scenarios.scenario import Attempt, Rule, Scenario
from fakellm.wire.http1 import Burst, bursts
from fakellm.wire.plan import Frame, Plan

# A body above this is answered anew each time: what is remembered is bounded by 256 requests of this size.
_REMEMBERED_BYTES = 64 * 1024

_FIRST = Attempt()


class Release(Struct, frozen=True):
    """Frames of a stepped reply in `session` to be let go: so many, or all that are left (None).

    `request` is its number in the journal; None is the oldest with frames left. It is waited for `timeout` seconds.
    """

    session: str
    frames: int | None
    request: int | None
    timeout: float


class Answer(Struct, frozen=True):
    """A response, as a plan and as the bytes to send, and what the journal says of it."""

    plan: Plan
    bursts: tuple[Burst, ...]
    request: Any = None
    rule: str | None = None
    matched: bool = True
    explanation: str | None = None
    release: Release | None = None
    """What the shell does before it answers; then it answers with what was sent, which only the shell knows."""
    relay: bool = False
    """Whether the shell asks the server behind it, and passes on what that answers."""
    fault: Fault | None = None
    digest: str = ""
    """What was asked, where it was understood."""
    counting: int | None = None
    """The number of the rule that met it, where it matters which attempt this is."""


class Engine:
    """One session. `strict`: a request that no rule meets is refused, not answered with generated text."""

    def __init__(self, scenario: Scenario | None, seed: int, strict: bool) -> None:
        self.scenario = scenario
        self.seed = seed
        self.strict = strict
        self.journal = Journal()
        self._rules = scenario.named_rules() if scenario else ()
        self._matcher = Matcher([rule.when for rule in self._rules])
        self._headers = frozenset(name for rule in self._rules for name in rule.headers_read())
        self._computed = scenario is not None and scenario.computed
        self._remember = lru_cache(maxsize=256)(self._answer)
        self._attempts: Counter[tuple[int, str]] = Counter()

    @property
    def models(self) -> tuple[str, ...]:
        """The models that the scenario speaks of by name, or one called `fakellm`."""
        asked = [rule.when.model for rule in self._rules if rule.when.model and not set("*?[") & set(rule.when.model)]
        said = [rule.reply.model for rule in self._rules if rule.reply.model]
        return tuple(dict.fromkeys([*asked, *said])) or ("fakellm",)

    def health(self) -> dict[str, Any]:
        """What it serves: its seed, whether it is strict, its scenario's name."""
        return {"seed": self.seed, "strict": self.strict, "scenario": self.scenario and self.scenario.name}

    def answers(self, model: str) -> bool:
        """Whether a request to this model could be answered: by a rule, or with generated text."""
        wanted = [rule.when.model for rule in self._rules]
        return not self.strict or any(each is None or fnmatchcase(model, each) for each in wanted)

    def reply(self, body: bytes, route: Route = CHAT, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to `POST /v1/chat/completions`, or to another route. A pure function of scenario, seed and body,
        and of the headers that rules look at; where a rule counts attempts, of their number too, and a function may
        say what it likes."""
        seen = self._seen(headers or {})
        answer = self._remember if len(body) <= _REMEMBERED_BYTES and not self._computed else self._answer
        met = answer(body, route, seen, _FIRST)
        if met.counting is None:
            return met
        key = (met.counting, met.digest)
        self._attempts[key] += 1
        attempt = self._rules[met.counting].attempt(self._attempts[key], bool(met.request.get("stream")))
        return met if attempt == _FIRST else answer(body, route, seen, attempt)

    def _seen(self, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The headers that rules look at: the answer depends on no others."""
        if not self._headers and not self._computed:
            return ()
        lower = ((name.lower(), value) for name, value in headers.items())
        return tuple(sorted((name, value) for name, value in lower if self._computed or name in self._headers))

    def _answer(
        self, body: bytes, route: Route, headers: tuple[tuple[str, str], ...], attempt: Attempt | None
    ) -> Answer:
        try:
            request = route.parse(body, dict(headers))
        except RequestError as error:
            return refusal(error, self.seed, body)
        number = self._matcher.first(request)
        if number is not None:
            return self._met(number, request, route, attempt, body)
        explanation = self._explain(request)
        if self.strict:
            unmet = RequestError(404, f"No rule meets this request. {explanation}", "no_matching_rule")
            return self._unmet(unmet, request, body)
        rule = Rule(
            name="generated",
            dialect=self.scenario.dialect if self.scenario else "openai",
            reply=generated(request, route),
        )
        matched = not self._rules
        return msgspec.structs.replace(
            self._reply(rule, request, route), matched=matched, explanation=None if matched else explanation
        )

    def _met(self, number: int, request: Request, route: Route, attempt: Attempt | None, body: bytes) -> Answer:
        rule = self._rules[number]
        if attempt is None:
            message = f"The rule {rule.name!r} has given all its replies to this request, and `after: fail` ends there."
            return self._unmet(RequestError(404, message, "no_more_replies"), request, body)
        try:
            one = rule.at(attempt)
            spoken = msgspec.structs.replace(one, reply=said(one.reply, request, attempt.number))
            answer = self._reply(spoken, request, route)
        except (ReplyError, FieldError) as error:
            message = f"The rule {rule.name!r} cannot answer this request: {error}."
            answer = self._unmet(RequestError(400, message, "reply_failed"), request, body)
        counting = number if rule.counts(request.stream) else None
        return msgspec.structs.replace(answer, counting=counting)

    def _reply(self, rule: Rule, request: Request, route: Route) -> Answer:
        plan = _signed(render(rule, request, self.seed, route), self.seed, rule.name, request.digest)
        fault = rule.fault_in(request.stream)
        return Answer(plan, bursts(plan), request.body, rule.name, fault=fault, digest=request.digest)

    def _unmet(self, error: RequestError, request: Request, body: bytes) -> Answer:
        answer = refusal(error, self.seed, body)
        return msgspec.structs.replace(answer, request=request.body, matched=False, digest=request.digest)

    def _explain(self, request: Request) -> str:
        nearest = self._matcher.nearest(request)
        if nearest is None:
            return "The scenario has no rules."
        number, differences = nearest
        return f"The nearest is {self._rules[number].name!r}; it differs in {'; '.join(map(str, differences))}."


def generated_answer(value: JSON, seed: int, asked: str, body: Any = None) -> Answer:
    """The answer that no rule has a say in: `value`, to what `asked` names; `body` is what the journal has of it."""
    plan = Plan(200, (("Content-Type", "application/json"),), (Frame(dumps(value, 2).encode() + b"\n"),))
    plan = _signed(plan, seed, "generated", asked)
    return Answer(plan, bursts(plan), body, "generated")


def refusal(error: RequestError, seed: int, body: bytes = b"") -> Answer:
    """The answer that says `error` in OpenAI's shape.

    `x-should-retry: false` keeps SDKs from sending the request again: it would be refused again.
    """
    headers = (("Content-Type", "application/json"), ("x-should-retry", "false"), *error.headers.items())
    asked = blake2b(body, digest_size=16).hexdigest()
    plan = _signed(Plan(error.status, headers, (Frame(write_error(error)),)), seed, None, asked)
    text = body.decode("utf-8", "backslashreplace") or None
    return Answer(plan, bursts(plan), request=text, explanation=error.message)


def _signed(plan: Plan, seed: int, rule: str | None, asked: str) -> Plan:
    """The plan with headers that say where it came from, and those of the API that it has not; a header holds ASCII
    only."""
    signature = [("x-fakellm-rule", quote(rule, safe=" #+/:"))] if rule else []
    signature.append(("x-fakellm-seed", str(seed)))
    own = {name.lower() for name, _ in plan.headers}
    others = [header for header in usual(seed, asked, plan.status) if header[0] not in own]
    return msgspec.structs.replace(plan, headers=(*plan.headers, *signature, *others))
