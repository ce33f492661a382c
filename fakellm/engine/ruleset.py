"""A compiled scenario: which rule matches, and which of its replies an attempt gets. Immutable, shared by all sessions.

Knows no seed and no bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import accumulate
from math import inf

import msgspec
from msgspec import Struct

from fakellm.apis.effects import without_effect
from fakellm.apis.route import Route
from fakellm.base.errors import RequestError
from fakellm.base.words.count import count
from fakellm.model.repeated_calls import MOST_REPEATS, repeated_calls, same_arguments
from fakellm.model.request import Request
from fakellm.scenarios.matching import Matcher
from fakellm.scenarios.reply import Computed, Reply
from fakellm.scenarios.scenario import Rule, Scenario


class Attempt(Struct, frozen=True):
    """The reply of a rule that an attempt gets, and whether its fault may apply. `number` is the attempt's, from 1, if
    the reply contains it; else 1."""

    step: int = 0
    faulty: bool = True
    number: int = 1


class Script:
    """The replies of one rule that has a name and a dialect, by attempt."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._counted_by = rule.counted_by
        self._steps = rule.steps
        self._rules: dict[tuple[int, bool], Rule] = {}
        self._without_effect: dict[tuple[int, str], tuple[str, ...]] = {}
        self._numbered = any(
            placeholder[0] == "attempt" for step in self._steps for placeholder in step.reply.placeholders()
        )
        self._ends = {
            stream: tuple(accumulate(step.attempts(stream) for step in self._steps)) for stream in (False, True)
        }

    def counts(self, stream: bool) -> bool:
        """Whether the number of the attempt matters."""
        rule, fault = self._rule, self._rule.fault_in(stream)
        return bool(rule.script or rule.then or rule.after == "fail" or (fault and fault.counts)) or self._numbered

    def count(self, number: int, digest: str) -> tuple[Hashable, ...]:
        """The key of the count, within a session, that a request with this digest adds to; `number`: the rule's."""
        by = self._counted_by
        return (number, digest) if by == "request" else (number,) if by == "rule" else ()

    def length(self, stream: bool) -> int:
        """How many attempts the replies are for, including the first attempt of the last reply."""
        return self._ends[stream][-1]

    def attempt(self, number: int, stream: bool, seed: int, digest: str) -> Attempt | None:
        """The reply for the attempt with this number, from 1, of the request with this digest; None if there are no
        more replies."""
        ends, place = self._ends[stream], number - 1
        if self._rule.after == "cycle":
            place %= ends[-1]
        elif place >= ends[-1]:
            if self._rule.after == "fail" or self._rule.script:
                return None
            place = ends[-1] - 1
        step = bisect_right(ends, place)
        fault = self._steps[step].fault
        place -= ends[step - 1] if step else 0
        faulty = fault is None or (fault.applies_to(place) and fault.is_drawn(seed, digest, number))
        return Attempt(step, faulty, number if self._numbered else 1)

    def last(self, stream: bool) -> float:
        """The last attempt that gets a reply; infinity if every attempt gets one."""
        return self._ends[stream][-1] if self._rule.after == "fail" or self._rule.script else inf

    def alike(self, number: int, stream: bool) -> float:
        """The last of the attempts from this number on that are known to get the same reply; infinity if all do."""
        if self._numbered or any(step.fault and step.fault.rate is not None for step in self._steps):
            return number
        ends, cycles = self._ends[stream], self._rule.after == "cycle"
        place = (number - 1) % ends[-1] if cycles else number - 1
        if place >= ends[-1]:
            return inf
        step = bisect_right(ends, place)
        start, bounds = ends[step - 1] if step else 0, [ends[step]]
        if fault := self._steps[step].fault:
            bounds += [start + fault.after, start + fault.after + (fault.most or 0)]
        end = min(each for each in bounds if each > place)
        return inf if end == ends[-1] and not cycles and self.last(stream) == inf else number + end - place - 1

    def at(self, attempt: Attempt) -> Rule:
        """The rule with only the reply for this attempt."""
        key = (attempt.step, attempt.faulty)
        if key not in self._rules:
            step = self._steps[attempt.step]
            fields = msgspec.structs.asdict(step) | {"fault": step.fault if attempt.faulty else None}
            self._rules[key] = msgspec.structs.replace(self._rule, **fields, then=(), after="last", script=())
        return self._rules[key]

    def without_effect(self, attempt: Attempt, route: Route) -> tuple[str, ...]:
        """The keys of the `stream:` block for this attempt that have no effect in an API."""
        key = (attempt.step, route.name)
        if key not in self._without_effect:
            self._without_effect[key] = without_effect(self._steps[attempt.step].stream, route.stream_keys)
        return self._without_effect[key]


class Ruleset:
    """The rules of a scenario; without a scenario, no rules. `first`: how many rules have been put in front of those
    whose attempts a session has counted before."""

    def __init__(self, scenario: Scenario | None, first: int = 0) -> None:
        self.scenario = scenario
        self.first = first
        self.rules = scenario.named_rules() if scenario else ()
        self._matcher = Matcher([rule.when for rule in self.rules])
        self._headers = frozenset(name for rule in self.rules for name in _headers_read(rule))
        self._computed = any(isinstance(step.reply, Computed) for rule in self.rules for step in rule.steps)
        self._scripts: dict[int, Script] = {}

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The models that the scenario names, or one called `fakellm`."""
        matched = [rule.when.model for rule in self.rules if rule.when.model and not set("*?[") & set(rule.when.model)]
        replies = (step.reply for rule in self.rules for step in (rule.script or (rule,)))
        sent = [reply.model for reply in replies if reply.model]
        return tuple(dict.fromkeys([*matched, *sent])) or ("fakellm",)

    def answers(self, model: str) -> bool:
        """Whether a rule could match a request for this model."""
        return any(rule.when.model is None or fnmatchcase(model, rule.when.model) for rule in self.rules)

    def headers(self, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The headers of a request that rules read, with their names in lower case: no reply depends on others."""
        if not self._headers and not self._computed:
            return ()
        lower = ((name.lower(), value) for name, value in headers.items())
        return tuple(sorted((name, value) for name, value in lower if self._computed or name in self._headers))

    def match(self, request: Request) -> int | None:
        """The number of the first rule that the request matches, from 0."""
        return self._matcher.first(request)

    def slow(self, request: Request, length: int, most: float) -> bool:
        """Whether `match` and `explain` may take more than `most` milliseconds, roughly. `length`: of the body."""
        cost = self._matcher.cost
        return cost.bound(length) > most and cost.milliseconds(request) > most

    def explain(self, request: Request) -> str:
        """Why a request matches no rule: the nearest rule, and every difference."""
        nearest = self._matcher.nearest(request)
        if nearest is None:
            return "The scenario has no rules."
        number, differences = nearest
        return f"The nearest is {self.rules[number].name!r}; it differs in {'; '.join(map(str, differences))}."

    def count(self, number: int, digest: str) -> tuple[Hashable, ...]:
        """The key of the count that a request with this digest adds to if the rule with this number answers it: the
        same as before rules were put in front of it."""
        return self.script(number).count(number - self.first, digest)

    def script(self, number: int) -> Script:
        """The replies of the rule with this number."""
        if number not in self._scripts:
            self._scripts[number] = Script(self.rules[number])
        return self._scripts[number]

    def exhausted(self, place: int, number: int, stream: bool) -> RequestError:
        """The refusal of a request for which the rule in this place has no more replies; `number`: the attempt's."""
        rule = self.rules[place]
        message = (
            f"The rule {rule.name!r} has sent all its replies to this request, and it sets `after: fail`. Add a reply, "
            "or find out why the application sends the request again."
        )
        if rule.script:
            length = self.script(place).length(stream)
            message = (
                f"The script of the rule {rule.name!r} has replies for {count(length, 'request')}, and this is request "
                f"{number}. Add a reply to the script, or find out why the application sends another request."
            )
        return RequestError(404, message, "no_more_replies")

    def repeated(self, place: int, reply: Reply, request: Request) -> tuple[str, ...]:
        """The names of the calls that a reply would have an agent make once more, if it makes them without end; a
        script ends."""
        calls = () if self.rules[place].script or not reply.tool_calls else repeated_calls(request)
        again = any(
            call.name == name and same_arguments(call.arguments, arguments)
            for name, arguments in calls
            for call in reply.tool_calls
        )
        return tuple(name for name, _ in calls) if again else ()


def _headers_read(rule: Rule) -> frozenset[str]:
    """The headers that a rule reads, in lower case."""
    placeholders = [
        str(placeholder[1])
        for step in rule.steps
        for placeholder in step.reply.placeholders()
        if placeholder[0] == "headers"
    ]
    return frozenset(name.lower() for name in (*rule.when.headers, *placeholders))


def endless(rule: Rule, calls: tuple[str, ...]) -> RequestError:
    """The refusal of a request that a rule would answer with calls which an agent repeats without end."""
    message = (
        f"The conversation has the same call of {' and '.join(calls)} {MOST_REPEATS} times in a row, and the rule "
        f"{rule.name!r} would answer with it again: this loop never ends. A rule with `user` matches the request with "
        "the result of the call too: add `turn: 1` to it (turn=1 in Python), or put the rule with `result` before it. "
        "If the application is to end such a loop by itself, let it do so earlier, or list the calls in a script."
    )
    return RequestError(400, message, "endless_loop")
