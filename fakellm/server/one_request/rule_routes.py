"""The control routes that compare one request with rules: why a rule answers it, a rule for it, and what rules that are
being written would send.

Owns where the work is done: what may take long, in another process. Knows no matching and no rendering.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.route import api_named
from fakellm.base.budget import BUDGET, exceeded
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.engine.engine import Engine, LongWorkError
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.response import Response, Work
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.what_was_sent import readings
from fakellm.faults import Fault
from fakellm.model.request import Request
from fakellm.scenarios.reply import Computed, Reply
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import HttpRequest, Routes, parsed_entry
from fakellm.server.control.entry_matches import search
from fakellm.server.control.journal_view import as_json
from fakellm.server.control.sent_reply import habits_of
from fakellm.server.offload import in_thread
from fakellm.server.one_request.routes import found_entry, kept_of, shown_plan, wire_pieces
from fakellm.server.one_request.why import why
from fakellm.server.one_request.wire import ReplyReader, encoded
from fakellm.server.processes.answering import parsed
from fakellm.server.processes.elsewhere import MOST_BODY, MOST_MILLISECONDS, answered, read_there
from fakellm.server.processes.model_reply import continuing
from fakellm.server.processes.workers import WorkEndedError, in_worker

if TYPE_CHECKING:
    from fakellm.server.one_request.smallest_rule import SmallestRule
    from fakellm.server.scenario_app import App

MOST_OTHERS = 500
"""Other requests of the session that a rule for one request is distinguished from, the newest."""


def why_route(app: App, request: HttpRequest) -> Work:
    """Compares a request with the rules that its session has now."""
    session, entry = found_entry(app, request.target.session, request.target.route.id)
    engine = session.content

    async def run() -> list[bytes]:
        read = await _read(app, entry)
        rules = [(str(rule.name), rule.when) for rule in engine.ruleset.rules]
        compare = partial(why, rules, read, entry.rule)
        if engine.ruleset.slow(read, _length(entry), MOST_MILLISECONDS):
            try:
                found = await in_worker(lambda worker: worker.call(BUDGET.work_seconds, why, rules, read, entry.rule))
            except WorkEndedError:
                raise exceeded("work_seconds") from None
        else:
            found = (await in_thread(compare))()
        return [encoded(found), b"\n"]

    return Work(run, as_json)


async def _read(app: App, entry: Entry) -> Request:
    """The request of an entry as rules match it. Raises RequestError if it is not for a model."""
    found: Request | None = (await in_thread(partial(parsed_entry, app, entry)))()
    if found is None:
        message = f"Request {entry.number} is not a valid request to a model, so no rule can answer it."
        raise RequestError(400, message, "not_for_a_model")
    return found


def _length(entry: Entry) -> int:
    return len(entry.request.body) if isinstance(entry.request, Kept) else 0


def rule_route(app: App, request: HttpRequest) -> Work:
    """The smallest rule for a request, as YAML."""
    session, entry = found_entry(app, request.target.session, request.target.route.id)
    snapshot, kept, engine = copy(entry), kept_of(entry), session.content

    async def run() -> list[bytes]:
        read = await _read(app, entry)
        numbers, others = await _others(app, list(session.journal), read)
        make = partial(_rule, engine, read, others, snapshot, kept)
        found, text = (await in_thread(make))()
        return [encoded({"yaml": text, "note": _note(found, numbers, engine)}), b"\n"]

    return Work(run, as_json)


async def _others(app: App, entries: list[Entry], read: Request) -> tuple[list[int], list[Request]]:
    """The other requests to models, but those that are the same as this one, and their numbers."""
    numbers: list[int] = []
    others: list[Request] = []

    def compare(entry: Entry, other: Request | None) -> None:
        if other is not None and (other.digest, other.api, other.stream) != (read.digest, read.api, read.stream):
            numbers.append(entry.number)
            others.append(other)

    await search(entries[-MOST_OTHERS:], partial(parsed_entry, app), compare)
    return numbers, others


def _rule(
    engine: Engine, read: Request, others: list[Request], snapshot: Entry, kept: Kept
) -> tuple[SmallestRule, str]:
    """The rule for a request, and its YAML."""
    from fakellm.base.secrets.search import cover
    from fakellm.scenarios.loader import dump
    from fakellm.server.one_request.smallest_rule import smallest_rule

    covered = cover(kept.secrets)

    def secret(text: str) -> bool:
        latin = text.encode("utf-8", "replace").decode("latin-1")
        return covered(latin) != latin

    reply, fault = _scripted(engine, snapshot) or (_sent(read, snapshot, kept), None)
    whens = [rule.when for rule in engine.ruleset.rules]
    found = smallest_rule(read, others, whens, reply, fault, secret)
    return found, covered(dump(found.rule).encode("utf-8", "replace").decode("latin-1")).encode("latin-1").decode()


def _scripted(engine: Engine, snapshot: Entry) -> tuple[Reply, Fault] | None:
    """The reply and the fault of the rule that answered, if it injected one; None for any other answer."""
    steps = (step for rule in engine.ruleset.rules if rule.name == snapshot.rule for step in rule.steps)
    for step in steps:
        if step.fault is not None and step.fault.kind == snapshot.fault and not isinstance(step.reply, Computed):
            return step.reply, replace(step.fault, times=None, after=0, rate=None)
    return None


def _sent(read: Request, snapshot: Entry, kept: Kept) -> Reply | None:
    """What has answered a request, as a reply; None if no rule has."""
    from fakellm.server.one_request.smallest_rule import reply_to_edit

    plan, _ = shown_plan(snapshot, kept)
    if plan is None or plan.status != 200 or not snapshot.matched or snapshot.api is None:
        return None
    route = api_named(snapshot.api)
    habits, _ = habits_of(route, snapshot.dialect, read)
    return reply_to_edit(readings(plan, route, habits, read.choices)[-1].completion)


def _note(found: SmallestRule, numbers: list[int], engine: Engine) -> str | None:
    """What a rule cannot do."""
    if found.hidden:
        name = engine.ruleset.rules[found.hidden[0]].name
        return f"The rule {name!r} has all of these conditions: put this one in its place, not in front of it."
    if found.alike:
        return f"Request {numbers[found.alike[0]]} matches it too: it differs in nothing that a condition can name."
    return None


class Checked(Struct, frozen=True):
    """What is wrong with a scenario, or the scenario."""

    scenario: Scenario | None
    problems: tuple[str, ...] = ()


def check_route(app: App, request: HttpRequest) -> Work:
    """What is wrong with a scenario, which nobody serves."""

    async def run() -> list[bytes]:
        checked = await _checked(app, request.body)
        if checked.scenario is None:
            return [encoded({"rules": None, "problems": list(map(_problem, checked.problems)), "notes": []}), b"\n"]
        return (await in_thread(partial(_in_vain, checked.scenario)))()  # type: ignore[no-any-return] # Result is of any type

    return Work(run, as_json)


def _in_vain(scenario: Scenario) -> list[bytes]:
    """The JSON of what is served and has no effect, as `fakellm check` prints it."""
    from fakellm.importing.replies.patched_texts import repeated_in, without_effect_in

    rules = scenario.named_rules()
    problems = [_problem(f"{rule.name}: {problem}") for rule in rules if rule.patch for problem in repeated_in(rule)]
    notes = [
        f"{rule.name}: stream.{key} has no effect in {rule.when.api}"
        for rule in rules
        for key in without_effect_in(rule)
    ]
    return [encoded({"rules": len(rules), "problems": problems, "notes": notes}), b"\n"]


async def _checked(app: App, body: bytes) -> Checked:
    """Reads a scenario: another process does if it is long."""
    try:
        if len(body) > MOST_BODY and app.offloads:
            return Checked(await in_worker(lambda worker: read_there(worker, body)))
        return Checked((await in_thread(partial(parsed, body)))())
    except ScenarioError as error:
        return Checked(None, error.problems)
    except WorkEndedError:
        raise exceeded("load_seconds") from None


_PLACE = re.compile(r"scenario(?::([0-9]+):([0-9]+))?: (.*)", re.DOTALL)


def _problem(text: str) -> dict[str, Any]:
    """A problem with its place, the line and column from 1."""
    found = _PLACE.fullmatch(text)
    line, column, message = found.groups() if found else (None, None, text)
    return {"line": line and int(line), "column": column and int(column), "message": message}


def preview_route(app: App, request: HttpRequest) -> Work:
    """What the rules in the body would send to a request of the session, if it came now, and for the first time."""
    number = request.target.parameters.get("request")
    if number is None:
        message = "POST /_fakellm/preview needs the query parameter 'request': the number of a request in the journal."
        raise RequestError(400, message, "missing_parameter", "request")
    session, entry = found_entry(app, request.target.session, number)
    kept = kept_of(entry)
    sent = app.routed(HttpRequest(entry.method, kept.path, kept.body, kept.headers))

    async def run() -> list[bytes]:
        checked = await _checked(app, request.body)
        if checked.scenario is None:
            return _preview(None, list(map(_problem, checked.problems)))
        read = await _read(app, entry)
        engine = (await in_thread(lambda: Engine(Ruleset(checked.scenario), app.seed, strict=True)))()
        response = await _answered(engine, sent, continuing(session, sent))
        return (await in_thread(partial(_shown, response, read, kept)))()  # type: ignore[no-any-return] # Result is of any type

    return Work(run, as_json)


async def _answered(engine: Engine, request: HttpRequest, continued: Callable[[Request], Request] | None) -> Response:
    """The response of an engine to the first attempt of a request. Raises RequestError."""
    target = request.target

    def rendered() -> Response:
        most = inf if continued else MOST_MILLISECONDS
        matched = engine.match(request.body, target.api, request.headers, most, target.url, continued)
        found = engine.respond(matched, 1, most)
        assert isinstance(found, Response)  # YAML has no functions
        return found

    try:
        return (await in_thread(rendered))()  # type: ignore[no-any-return] # Result is of any type
    except LongWorkError:
        found = await answered(engine, request, 1)
        assert found.response
        return found.response


def _shown(response: Response, read: Request, kept: Kept) -> list[bytes]:
    """The JSON of what rules would send."""
    if response.rule is None:
        return _preview(None, [], response.explanation)
    plan, missing = shown_plan(Entry("POST", ""), replace(kept, response=response))
    start = _preview(response.rule, [], response.explanation or missing or None)
    if plan is None:
        return start
    pieces = wire_pieces(plan, ReplyReader(api_named(read.api), response.dialect, read), kept)
    return [start[0].removesuffix(b"null}\n"), *pieces, b"}\n"]


def _preview(rule: str | None, problems: list[dict[str, Any]], message: str | None = None) -> list[bytes]:
    """The JSON of a preview without frames."""
    facts = {"rule": rule, "problems": problems, "message": message, "wire": None}
    return [encoded(facts) + b"\n"]


RULES: Routes[App] = {
    "/_fakellm/requests/{number}/why": {"GET": why_route},
    "/_fakellm/requests/{number}/rule": {"GET": rule_route},
    "/_fakellm/check": {"POST": check_route},
    "/_fakellm/preview": {"POST": preview_route},
}
