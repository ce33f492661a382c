"""(scenario, seed) and a request to an answer. Owns a session's state: its scenario and its journal.

Knows no sockets and no clock; one engine a session.
"""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from fakellm.dialects.dialect import JSON, dumps
from fakellm.dialects.write import write_error
from fakellm.doors.door import CHAT, Door
from fakellm.doors.headers import usual
from fakellm.errors import RequestError
from fakellm.faults import Fault
from fakellm.journal import Journal
from fakellm.match import Difference, difference
from fakellm.request import Request
from fakellm.scenario import Rule, Scenario
from fakellm.wire import Burst, Frame, Plan, bursts

# A body above this is answered anew each time: what is remembered is bounded by 256 requests of this size.
_REMEMBERED_BYTES = 64 * 1024


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


class Engine:
    """One session. `strict`: a request that no rule meets is refused, not answered with generated text."""

    def __init__(self, scenario: Scenario | None, seed: int, strict: bool) -> None:
        self.scenario = scenario
        self.seed = seed
        self.strict = strict
        self.journal = Journal()
        self._rules = scenario.named_rules() if scenario else ()
        self._remember = lru_cache(maxsize=256)(self._answer)
        self._attempts: Counter[tuple[str | None, str]] = Counter()

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

    def reply(self, body: bytes, door: Door = CHAT) -> Answer:
        """The answer to `POST /v1/chat/completions`, or to another route. A pure function of scenario, seed and body;
        where a fault counts attempts, of their number too."""
        answer = self._remember if len(body) <= _REMEMBERED_BYTES else self._answer
        met = answer(body, True, door)
        if met.fault is None or not met.fault.counts:
            return met
        key = (met.rule, met.digest)
        self._attempts[key] += 1
        return met if met.fault.meets(self._attempts[key] - 1) else answer(body, False, door)

    def _answer(self, body: bytes, with_fault: bool, door: Door) -> Answer:
        try:
            request = door.parse(body)
        except RequestError as error:
            return refusal(error, self.seed, body)
        nearest: tuple[Rule, tuple[Difference, ...]] | None = None
        for rule in self._rules:
            differences = difference(rule.when, request)
            if not differences:
                return self._reply(rule if with_fault else msgspec.structs.replace(rule, fault=None), request, door)
            if nearest is None or len(differences) < len(nearest[1]):
                nearest = (rule, differences)
        explanation = _explain(nearest)
        if self.strict:
            unmet = RequestError(404, f"No rule meets this request. {explanation}", "no_matching_rule")
            return msgspec.structs.replace(refusal(unmet, self.seed, body), request=request.body, matched=False)
        rule = Rule(
            name="generated",
            dialect=self.scenario.dialect if self.scenario else "openai",
            reply=door.generated(request, self.seed),
        )
        matched = not self._rules
        return msgspec.structs.replace(
            self._reply(rule, request, door), matched=matched, explanation=None if matched else explanation
        )

    def _reply(self, rule: Rule, request: Request, door: Door) -> Answer:
        plan = _signed(door.render(rule, request, self.seed), self.seed, rule.name, request.digest)
        fault = rule.fault_in(bool(request.chat.stream))
        return Answer(plan, bursts(plan), request.body, rule.name, fault=fault, digest=request.digest)


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


def _explain(nearest: tuple[Rule, tuple[Difference, ...]] | None) -> str:
    if nearest is None:
        return "The scenario has no rules."
    rule, differences = nearest
    return f"The nearest is {rule.name!r}; it differs in {'; '.join(map(str, differences))}."
