"""The control routes that compare one request with the rules of its session: why one answers it, and a rule for it.

Owns where the work is done: what may take long, in another process. Knows no matching and no rendering.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fakellm.apis.route import api_named
from fakellm.base.budget import BUDGET
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.response import Work
from fakellm.engine.what_was_sent import readings
from fakellm.faults import Fault
from fakellm.model.request import Request
from fakellm.scenarios.reply import Computed, Reply
from fakellm.server.application import HttpRequest, Routes, parsed_entry
from fakellm.server.control.entry_matches import body_length, search
from fakellm.server.control.journal_view import as_json
from fakellm.server.control.sent_reply import habits_of
from fakellm.server.offload import in_thread
from fakellm.server.one_request.routes import check_size, found_entry, kept_of, shown_plan
from fakellm.server.one_request.why import why
from fakellm.server.one_request.wire import encoded
from fakellm.server.processes.budgeted import budgeted
from fakellm.server.processes.elsewhere import MOST_MILLISECONDS

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
        read = await read_request(app, entry)
        rules = [(str(rule.name), rule.when) for rule in engine.ruleset.rules]
        compare = partial(why, rules, read, entry.rule)
        if engine.ruleset.slow(read, body_length(entry), MOST_MILLISECONDS):
            found = await budgeted(lambda worker: worker.call(BUDGET.work_seconds, why, rules, read, entry.rule))
        else:
            found = (await in_thread(compare))()
        return [encoded(found), b"\n"]

    return Work(run, as_json)


async def read_request(app: App, entry: Entry) -> Request:
    """The request of an entry as rules match it. Raises RequestError if it is not for a model, or too large."""
    check_size(entry)
    found: Request | None = (await in_thread(partial(parsed_entry, app, entry)))()
    if found is None:
        message = f"Request {entry.number} is not a valid request to a model, so no rule can answer it."
        raise RequestError(400, message, "not_for_a_model")
    return found


def rule_route(app: App, request: HttpRequest) -> Work:
    """The smallest rule for a request, as YAML."""
    session, entry = found_entry(app, request.target.session, request.target.route.id)
    snapshot, kept, engine = copy(entry), kept_of(entry), session.content

    async def run() -> list[bytes]:
        read = await read_request(app, entry)
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


RULES: Routes[App] = {
    "/_fakellm/requests/{number}/why": {"GET": why_route},
    "/_fakellm/requests/{number}/rule": {"GET": rule_route},
}
