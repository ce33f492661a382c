"""The control routes of the scenario that a session serves: to show it, replace it or add to it, and its scripts.

Owns how rules are added while requests arrive. Knows no matching and no rendering.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from fakellm.base.errors import RequestError, ScenarioError
from fakellm.base.validation import shortened
from fakellm.base.words.count import count
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response, Work
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.state import AttemptCount
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import HttpRequest, json_response
from fakellm.server.control.parameters import whole_number
from fakellm.server.control.unused_rules import IdleFault, idle_faults
from fakellm.server.garbage import paused
from fakellm.server.offload import in_thread
from fakellm.server.processes.answering import parsed
from fakellm.server.processes.budgeted import budgeted
from fakellm.server.processes.elsewhere import MOST_BODY, read_there

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App


def shown_scenario(app: App, request: HttpRequest) -> Work:
    """The scenario that the session serves now, as JSON. A thread writes it: it may have thousands of rules."""
    served = app.session(request.target.session).content.ruleset.scenario or Scenario(rules=())

    def then(result: Callable[[], Any]) -> Response:
        try:
            return json_response(result())
        except ScenarioError as error:
            raise RequestError(409, str(error), "not_json") from None

    def dumped() -> Any:
        from fakellm.scenarios.loader import dump_json  # it reads YAML, which most servers never do

        return json.loads(dump_json(served))

    async def run() -> Any:
        return (await in_thread(dumped))()

    return Work(run, then)


def _flag(request: HttpRequest, name: str) -> bool | None:
    """The value of a parameter that is true or false; None if the request does not have it."""
    text = request.target.parameters.get(name)
    if text not in ("true", "false", None):
        message = f"Invalid value for '{name}': expected true or false, got {shortened(text)}."
        raise RequestError(400, message, "invalid_value", name)
    return None if text is None else text == "true"


def add_rules(app: App, request: HttpRequest) -> Work:
    """Adds rules to the scenario that the session serves, after or before its own, or replaces one. A thread compiles
    them."""
    strict, first, name = _flag(request, "strict"), _flag(request, "first"), request.target.session
    text = request.target.parameters.get("replace")
    number = None if text is None else whole_number("replace", text, "the number of a rule, from 1")
    if first and number is not None:
        message = "The query parameters 'first' and 'replace' exclude each other: leave out one of them."
        raise RequestError(400, message, "invalid_value", "first")

    async def run() -> Engine:
        added = await scenario_in(app, request.body)
        while True:
            session = app.session(name)
            before = session.content
            rules = len(before.ruleset.rules)
            if number is not None and number > rules:
                message = f"Invalid value for 'replace': the session has {count(rules, 'rule')}, got {number}."
                raise RequestError(400, message, "invalid_value", "replace")
            stays = before.strict if strict is None else strict
            extended = await in_thread(partial(app.extended, before, added, number, stays, bool(first)))
            after: Engine = extended()
            if app.find(name) is session and session.content is before:  # nobody has changed it in the meantime
                if changing := app.change(name, after):
                    await changing
                return after

    def then(result: Callable[[], Any]) -> Response:
        try:
            engine: Engine = result()
        except ScenarioError as error:
            raise RequestError(400, str(error), "invalid_scenario") from None
        return json_response({"rules": len(engine.ruleset.rules), "strict": engine.strict})

    return Work(run, then)


def scripts(app: App, request: HttpRequest) -> Response | Work:
    """The scripts of the session: how many requests came to each, and how many its replies are for; and the rules whose
    faults broke nothing."""
    session = app.session(request.target.session)
    ruleset = session.content.ruleset
    numbers = [number for number, rule in enumerate(ruleset.rules) if rule.script]
    counts = [session.counted(*ruleset.count(number, "")) for number in numbers]
    known = [each for each in counts if isinstance(each, AttemptCount)]
    shown = partial(_shown_scripts, ruleset, numbers, idle_faults(session.journal))
    if len(known) == len(counts):
        return shown(known)

    async def run() -> list[AttemptCount]:
        return [each if isinstance(each, AttemptCount) else await each for each in counts]

    return Work(run, lambda result: shown(result()))


def _shown_scripts(
    ruleset: Ruleset, numbers: Sequence[int], idle: Sequence[IdleFault], counts: Sequence[AttemptCount]
) -> Response:
    found: list[dict[str, Any]] = []
    for number, (requests, forgotten) in zip(numbers, counts, strict=True):
        script = ruleset.script(number)
        replies = min(script.length(stream) for stream in (False, True))
        name = ruleset.rules[number].name
        found.append({"rule": name, "requests": requests, "replies": replies, "forgotten": forgotten})
    return json_response({"scripts": found, "faults": msgspec.to_builtins(idle)})


def load_scenario(app: App, request: HttpRequest) -> Work:
    """Loads a scenario into the session."""

    def then(result: Callable[[], Any]) -> Response:
        scenario, engine = read_result(result)
        app.put(request.target.session, engine)
        return loaded(scenario, engine)

    return Work(engine_reader(app, request), then)


def engine_reader(app: App, request: HttpRequest) -> Callable[[], Awaitable[tuple[Scenario, Engine]]]:
    """Reads the scenario in a request, and its engine, which a thread compiles: thousands of rules take seconds."""
    specified = _flag(request, "strict")
    strict = app.strict if specified is None else specified

    def compiled(scenario: Scenario) -> Engine:
        with paused():
            return app.compiled(scenario, strict)

    async def run() -> tuple[Scenario, Engine]:
        scenario = await scenario_in(app, request.body)
        return scenario, (await in_thread(partial(compiled, scenario)))()

    return run


async def scenario_in(app: App, body: bytes) -> Scenario:
    """The scenario in the body of a request. Another process reads a long one, and a thread a short one. Raises
    ScenarioError, and RequestError as `budgeted` does."""

    def read(how: Callable[[bytes], Scenario]) -> Scenario:
        with paused():
            return how(body)

    if len(body) > MOST_BODY and app.offloads:
        return await budgeted(lambda worker: read(partial(read_there, worker)), "load_seconds")
    return (await in_thread(partial(read, parsed)))()  # type: ignore[no-any-return] # Result is of any type


def read_result(result: Callable[[], Any]) -> tuple[Scenario, Engine]:
    """What `engine_reader` reads. Raises RequestError for what reading it raised."""
    try:
        scenario, engine = result()
    except ScenarioError as error:
        raise RequestError(400, str(error), "invalid_scenario") from None
    return scenario, engine


def loaded(scenario: Scenario, engine: Engine) -> Response:
    """The response after a scenario has been loaded."""
    return json_response({"scenario": scenario.name, "rules": len(scenario.rules), "strict": engine.strict})
