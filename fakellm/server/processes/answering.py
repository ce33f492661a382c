"""Answers requests in another process where that takes long: the side of that process. `elsewhere` is the other side.

It has the scenarios that were sent to it, counts no attempts, and keeps no journal.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.budget import BUDGET, exceeded
from fakellm.base.errors import FakellmError, RequestError
from fakellm.engine.engine import Engine, Match, Matched
from fakellm.engine.limited import Spent, spent
from fakellm.engine.memo import Cache
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Rule, Scenario

MOST_EXPANDED = 200_000
"""Values to which the aliases of a short scenario in a request may expand it: they take about a second."""

_ENGINES = 4
"""Scenarios that are kept."""
_CACHE_BYTES = 8 * 2**20
_APART = 64 * 1024
"""Bytes of a burst that are not copied on their way."""

Sent = tuple[str, str, bytes, Mapping[str, str], Any]
"""The method, path, body and headers of a request, and what the session keeps of what it continues."""


class UnknownEngineError(FakellmError):
    """The scenario has not been sent, or is no longer kept."""


class Answered(Struct, frozen=True):
    """What answers a request.

    response: None if the server must count the attempt first, or call a function.
    match: the rule that matches, in that case and if the scenario has limits.
    spent: what the reply uses up of these.
    """

    response: Response | None
    match: Match | None = None
    spent: Spent | None = None


_engines: OrderedDict[int, Engine] = OrderedDict()
_rules: list[Rule] = []
_last: list[tuple[int, Sent, Matched]] = []


def parsed(body: bytes) -> Scenario:
    """The scenario in the body of a request. Raises ScenarioError."""
    from fakellm.base.yaml_nodes import MOST_NODES
    from fakellm.scenarios.loader import parse  # YAML, which a server without a scenario does not need

    most = min(MOST_NODES, max(MOST_EXPANDED, len(body)))  # what has no aliases has fewer values than characters
    return parse(body.decode("utf-8", "surrogateescape"), "scenario", most)


def read_scenario(body: bytes) -> Scenario:
    """Reads the scenario in the body of a request, and returns it without its rules. Raises ScenarioError."""
    scenario = parsed(body)
    _rules[:] = scenario.rules
    return replace(scenario, rules=())


def take_rules(most: int) -> list[Rule]:
    """The next rules of the scenario that was read; none if there are no more."""
    following, _rules[:] = _rules[:most], _rules[most:]
    return following


def elsewhere(request: Request) -> NoReturn:
    """Stands for the function of a reply; it is never called here."""
    raise NotImplementedError


def add_rules(rules: list[Rule]) -> None:
    """Receives rules of the next scenario."""
    _rules.extend(rules)


def add_engine(number: int, scenario: Scenario | None, first: int, seed: int, strict: bool) -> None:
    """Compiles the rules received so far. `scenario`: without its rules; None if there is none. `first`: see
    `Ruleset`."""
    scenario = scenario and replace(scenario, rules=tuple(_rules))
    _rules.clear()
    _engines[number] = Engine(Ruleset(scenario, first), seed, strict, Cache(_CACHE_BYTES))
    if len(_engines) > _ENGINES:
        _engines.popitem(last=False)


def answer(number: int, sent: Sent, attempt: int | None, error: RequestError | None) -> Answered:
    """The answer to a request with the engine of this number. `attempt`: its number, if that is known. `error`: why the
    request is refused. Raises UnknownEngineError."""
    from fakellm.server.application import HttpRequest, refused
    from fakellm.server.processes.continued import continuing
    from fakellm.server.scenario_app import App

    engine = _engines.get(number)
    if engine is None:
        raise UnknownEngineError
    _engines.move_to_end(number)
    method, path, body, headers, kept = sent
    request = HttpRequest(method, path, body, headers)
    if error:
        return Answered(apart(refused(request, error, engine.seed)))
    app = App.of(engine)
    try:
        request = app.routed(request)
        if (route := app.replier(request)) is None:
            response, _ = app.handle(request)
            assert isinstance(response, Response)
            return Answered(apart(response))
        if _last and _last[0][:2] == (number, sent):
            matched = _last.pop()[2]
        else:
            continued = continuing(request, kept)
            matched = engine.match(request.body, route, request.headers, url=request.target.url, continued=continued)
        if attempt is None and (matched.match.counts or engine.limits):
            _last[:] = [(number, sent, matched)]
            return Answered(None, matched.match)
        spending = spent(engine, matched, attempt or 1) if engine.limits else None
        outcome = engine.respond(matched, attempt or 1)
    except RequestError as refusal:
        return Answered(apart(refused(request, refusal, engine.seed)))
    if not isinstance(outcome, Response):
        return Answered(None, matched.match, spending)
    return Answered(apart(outcome), spent=spending)


def apart(response: Response) -> Response:
    """The response, with its long bursts such that they are sent without a copy of them. Raises RequestError if it is
    larger than the budget allows."""
    if sum(len(burst.data) for burst in response.bursts) > BUDGET.reply_bytes:
        raise exceeded("reply_bytes")
    bursts = (
        replace(burst, data=pickle.PickleBuffer(burst.data)) if len(burst.data) > _APART else burst
        for burst in response.bursts
    )
    return replace(response, bursts=tuple(bursts))
