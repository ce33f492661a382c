"""The control routes that try rules which are being written: what is wrong with them, and what they would send.

Nobody serves these rules. Owns where the work is done: what may take long, in another process.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.route import api_named
from fakellm.base.errors import RequestError, ScenarioError
from fakellm.engine.engine import Engine, LongWorkError
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.response import Response, Work
from fakellm.engine.ruleset import Ruleset
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import HttpRequest, Routes
from fakellm.server.control.journal_view import as_json
from fakellm.server.control.scenario_routes import scenario_in
from fakellm.server.offload import in_thread
from fakellm.server.one_request.routes import found_entry, kept_of, shown_plan, wire_pieces
from fakellm.server.one_request.rule_routes import read_request
from fakellm.server.one_request.wire import ReplyReader, encoded
from fakellm.server.processes.continued import continuing, kept_for
from fakellm.server.processes.elsewhere import MOST_MILLISECONDS, answered

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App


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
    """Reads a scenario."""
    try:
        return Checked(await scenario_in(app, body))
    except ScenarioError as error:
        return Checked(None, error.problems)


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
        read = await read_request(app, entry)
        engine = (await in_thread(lambda: Engine(Ruleset(checked.scenario), app.seed, strict=True)))()
        response = await _answered(engine, sent, kept_for(session, sent))
        return (await in_thread(partial(_shown, response, read, kept)))()  # type: ignore[no-any-return] # Result is of any type

    return Work(run, as_json)


async def _answered(engine: Engine, request: HttpRequest, kept: Any) -> Response:
    """The response of an engine to the first attempt of a request. `kept`: what the session keeps of what it continues.
    Raises RequestError."""
    target, continued = request.target, continuing(request, kept)

    def rendered() -> Response:
        matched = engine.match(request.body, target.api, request.headers, MOST_MILLISECONDS, target.url, continued)
        found = engine.respond(matched, 1, MOST_MILLISECONDS)
        assert isinstance(found, Response)  # YAML has no functions
        return found

    try:
        return (await in_thread(rendered))()  # type: ignore[no-any-return] # Result is of any type
    except LongWorkError:
        found = await answered(engine, request, 1, kept=kept)
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


TRIALS: Routes[App] = {
    "/_fakellm/check": {"POST": check_route},
    "/_fakellm/preview": {"POST": preview_route},
}
