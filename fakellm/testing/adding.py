"""Adds rules to a running server, in the words of the builder: `on`, `reply`, `script`, `fail` and `add`.

Owns the calls and what they promise. Knows no server: a handle sends the rules.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Never

from fakellm import faults
from fakellm.base.errors import ScenarioError
from fakellm.faults.base import CountedBy
from fakellm.scenarios.loader import ScenarioSource, load
from fakellm.scenarios.matching import When
from fakellm.scenarios.mistakes.at_the_call import at_the_call
from fakellm.scenarios.python_replies import ReplyValue
from fakellm.scenarios.scenario import Rule, Scenario, Step
from fakellm.testing.served_rules import RuleStart, ServedOn, served_on
from fakellm.testing.vocabulary import Vocabulary

_UNREACHABLE = re.compile(r": no request reaches this rule: the one at rules\[(\d+)\] ")


def single(method: str, source: ScenarioSource, more: tuple[object, ...]) -> ScenarioSource:
    """The only scenario that was passed to a method. Raises ScenarioError if there are more."""
    if more:
        raise ScenarioError(
            [f"{method} takes one scenario, got {len(more) + 1}: put rules into a list: {method}([…, …])"]
        )
    return source


class Adding(Vocabulary, ABC):
    """What serves rules that are added one by one. A chain of methods that starts here is one rule, which is served as
    soon as it has a reply: ``fakellm.on(user="Hi").fail(429, times=1).reply("Hello")``."""

    def __init__(self) -> None:
        self.starts: list[RuleStart] = []
        """The calls of `on` since the last check or `load`."""

    @at_the_call
    def on(
        self, when: When | None = None, /, *, name: str | None = None, dialect: str | None = None, **conditions: Any
    ) -> ServedOn:
        """Adds a rule for the requests that match these conditions, after the rules that there are. It is served as
        soon as a method of the returned value has set its reply. Raises ScenarioError if an argument is wrong, or if no
        request can reach the rule."""
        rule = served_on(self._serve, when, name, dialect, conditions)
        self.starts.append(rule.start)
        return rule

    @at_the_call
    def reply(self, what: ReplyValue = "", /, **fields: Any) -> ServedOn:
        """Adds a rule that answers every request: ``on().reply(…)``."""
        return self.on().reply(what, **fields)

    @at_the_call
    def script(self, *replies: ReplyValue | faults.Fault | Step) -> ServedOn:
        """Adds a rule that answers all requests in this order: ``on().script(…)``. In a test with the fixture, each
        reply must be sent."""
        return self.on().script(*replies)

    @at_the_call
    def fail(
        self,
        status: int = 500,
        *,
        retry_after: float | str | None = None,
        times: int | faults.Times | None = None,
        by: CountedBy = "request",
        after: int = 0,
        **fields: Any,
    ) -> ServedOn:
        """Adds a rule that fails every request: ``on().fail(…)``. With `times`, go on with what follows:
        ``fakellm.fail(429, times=2).reply("Hi")``."""
        return self.on().fail(status, retry_after=retry_after, times=times, by=by, after=after, **fields)

    @at_the_call
    def add(self, source: ScenarioSource, *more: Never) -> None:
        """Adds rules after those that there are; the journal and the attempts stay. Takes what `load` takes, and raises
        what it raises, and ScenarioError if no request can reach one of the rules."""
        rules = single("add", source, more)
        for each in rules if isinstance(rules, (list, tuple)) else (rules,):
            if isinstance(each, ServedOn) and each.number is not None and not each.start.replaced:
                message = f"on(…) has added this rule already, at {each.start.place}: leave out add(…)"
                raise ScenarioError([f"add: {message}"])
        self._placed(load(rules), None)

    def _end_chains(self) -> None:
        """Must be called when the rules that were added are replaced: no later method may change one of them."""
        for start in self.starts:
            start.replaced = True
        self.starts.clear()

    def _serve(self, rule: Rule, number: int | None) -> int:
        """Serves one rule, in place of the one with this number; returns its number."""
        count = self._placed(Scenario(rules=(rule,)), number)
        return count if number is None else number

    def _placed(self, scenario: Scenario, number: int | None) -> int:
        """As `_add`; problems have the lines of the test."""
        try:
            return self._add(scenario, number)
        except ScenarioError as error:
            raise ScenarioError([self._unreachable(each) for each in error.problems]) from None

    def _unreachable(self, problem: str) -> str:
        """The problem; if no request can reach the rule, with the line of the test that added the one before it."""
        found = _UNREACHABLE.search(problem)
        earlier = int(found[1]) + 1 if found else 0
        start = next((each for each in self.starts if each.number == earlier), None)
        if start is None:
            return problem
        return (
            f"no request reaches this rule: the one that {start.place} added matches every request that it matches; "
            "put the more specific rule first, or chain the replies to that one: "
            "fakellm.fail(429, times=2).reply(…), .then() between two replies, or .script(…)"
        )

    @abstractmethod
    def _add(self, scenario: Scenario, number: int | None = None) -> int:
        """Adds rules, or replaces the one with this number; returns how many there are."""
