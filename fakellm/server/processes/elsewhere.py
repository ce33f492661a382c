"""Answers requests in another process where that takes long, with the same bytes: the side of the server.

Owns what is sent there and when a scenario is sent too. `answering` is the other side.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from fakellm.apis.route import CLIENT_HEADERS
from fakellm.base.budget import BUDGET
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine
from fakellm.scenarios.reply import Computed, Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.application import HttpRequest
from fakellm.server.processes import answering
from fakellm.server.processes.budgeted import budgeted
from fakellm.server.processes.workers import Worker

MOST_BODY = 64 * 1024
"""Bytes of a body that the event loop parses: this takes a few milliseconds."""

MOST_MILLISECONDS = 8.0
"""The longest work of the event loop for one request, as far as it can be estimated."""

_NEEDED = ("content-type", *CLIENT_HEADERS)
"""The headers that are needed there whatever the rules are."""

_RULES = 100
"""Rules that are sent at a time: other threads wait while they are pickled, for a few milliseconds."""

_numbers = count(1)
_number_of: WeakKeyDictionary[Engine, int] = WeakKeyDictionary()


async def answered(
    engine: Engine,
    request: HttpRequest,
    attempt: int | None = None,
    error: RequestError | None = None,
    kept: Any = None,
) -> answering.Answered:
    """What another process answers to a request. `attempt`: the number of the attempt, which is counted here.
    `error`: why the request is refused, if that is known. `kept`: what the session keeps of what it continues.

    Raises RequestError if that takes longer or needs more memory than the budget allows, or if the process is killed.
    """
    number = _number_of.setdefault(engine, next(_numbers))
    headers = dict(request.headers if error else engine.ruleset.headers(request.headers))
    headers |= {name: value for name, value in request.headers.items() if name.lower() in _NEEDED}

    def work(worker: Worker) -> answering.Answered:
        sent = request.method, request.path, pickle.PickleBuffer(request.body), headers, kept
        try:
            return worker.call(BUDGET.work_seconds, answering.answer, number, sent, attempt, error)
        except answering.UnknownEngineError:
            for rules in _pieces(engine.ruleset.rules):
                worker.call(BUDGET.work_seconds, answering.add_rules, rules)
            scenario = engine.ruleset.scenario
            bare, first = scenario and replace(scenario, rules=()), engine.ruleset.first
            worker.call(BUDGET.work_seconds, answering.add_engine, number, bare, first, engine.seed, engine.strict)
            return worker.call(BUDGET.work_seconds, answering.answer, number, sent, attempt, error)

    return await budgeted(work)


def read_there(worker: Worker, body: bytes) -> Scenario:
    """The scenario in the body of a request, which another process reads. Raises ScenarioError."""
    scenario: Scenario = worker.call(BUDGET.load_seconds, answering.read_scenario, pickle.PickleBuffer(body))
    rules: list[Rule] = []
    while following := worker.call(BUDGET.load_seconds, answering.take_rules, _RULES):
        rules += following
    return replace(scenario, rules=tuple(rules))


def _pieces(rules: tuple[Rule, ...]) -> Iterator[list[Rule]]:
    """The rules, as many at a time as are sent at once, without functions, which only this process has."""
    for start in range(0, len(rules), _RULES):
        yield [_without_functions(rule) for rule in rules[start : start + _RULES]]


def _without_functions(rule: Rule) -> Rule:
    if not any(isinstance(step.reply, Computed) for step in rule.steps):
        return rule
    steps = {
        name: tuple(replace(step, reply=_without_function(step.reply)) for step in getattr(rule, name))
        for name in ("then", "script")
    }
    return replace(rule, reply=_without_function(rule.reply), **steps)


def _without_function(reply: Reply) -> Reply:
    return Computed(function=answering.elsewhere) if isinstance(reply, Computed) else reply
