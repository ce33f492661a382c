"""A fault for the next requests to models in a session, whatever rules answer them. Owns how many are left.

The replies come from another engine, whose rules all have the fault; all other requests, and their attempts, are as if
there were none. A request that is refused leaves the fault to the next. Knows no sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from weakref import ref

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from fakellm.base.errors import RequestError
from fakellm.base.json_text import writable
from fakellm.base.validation import FieldError, dotted, problems
from fakellm.engine.complete import GENERATED
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response, Work, changed, give_up
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.state import Session
from fakellm.faults import Fault
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.application import HttpRequest, json_response
from fakellm.server.offload import in_thread

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App


class RequestedFault(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault, and how many requests get it."""

    fault: Fault
    requests: Annotated[int, Meta(ge=1)] = 1


class NextFault:
    """A fault that is left for some requests of a session, which serves `content` now. It keeps no session alive."""

    def __init__(self, session: Session[Engine], content: Engine, requested: RequestedFault) -> None:
        self._session = ref(session)
        self.fault = requested.fault
        self.left = requested.requests
        self._compile(content)

    def applied(self, content: Engine, reply: Callable[[Engine], Response | Work]) -> Response | Work:
        """The outcome of the next request, which is one less that is left unless it is refused. `content`: what the
        session serves now; `reply`: what an engine replies to the request."""
        engine = self.engine(content)
        self.left -= 1
        try:
            outcome = reply(engine)
        except BaseException:
            self._put_back()
            raise
        return changed(outcome, self._counted, partial(self._ended, outcome))

    def engine(self, content: Engine) -> Engine:
        """The engine that has the fault, for what the session serves now."""
        if content is not self._content:
            self._compile(content)
        return self._engine

    def is_of(self, session: Session[Engine] | None) -> bool:
        """Whether it is for this session, and not for one that had the same name."""
        return session is not None and self._session() is session

    def _compile(self, content: Engine) -> None:
        self._content = content
        scenario = with_fault(content.ruleset.scenario, self.fault)
        # What is counted by rule is counted as without the fault.
        self._engine = Engine(Ruleset(scenario, content.ruleset.first), content.seed, content.strict)

    def _counted(self, response: Response) -> Response:
        if response.rule is None:
            self._put_back()
        return blamed(response)

    def _ended(self, outcome: Response | Work) -> None:
        """There is no response after all."""
        self._put_back()
        give_up(outcome)

    def _put_back(self) -> None:
        self.left += 1


def blamed(response: Response) -> Response:
    """A reply that this fault was for, which names it if it broke nothing: the rule may have none."""
    if not any(key.startswith("fault") for key in response.without_effect):
        return response
    explanation = (response.explanation or "").replace("The fault ", "The fault of /_fakellm/fault ", 1)
    return replace(response, explanation=explanation)


def with_fault(scenario: Scenario | None, fault: Fault) -> Scenario:
    """A scenario whose rules send only their first reply, with a fault in it, and which has a rule for all other
    requests. A reply that the fault cannot break, such as one without the tool call that it is in, is as it is."""
    scenario = scenario or Scenario(rules=())
    others = Rule(GENERATED, name="generated", dialect=scenario.dialect, timing=scenario.timing)
    faulty = _faulty(others, fault)
    rules = tuple(_faulty(rule, fault) for rule in scenario.named_rules())
    return replace(scenario, rules=(*rules, faulty) if faulty.fault else rules)


def _faulty(rule: Rule, fault: Fault) -> Rule:
    first = rule.steps[0]
    plain = Rule(first.reply, rule.when, first.stream, first.timing, None, first.patch, rule.name, rule.dialect)
    try:
        return replace(plain, fault=fault)
    except FieldError:
        return plain


def put_fault(app: App, request: HttpRequest) -> Work:
    """Sets the fault of the next requests, in place of one that is left. A thread compiles the rules that have it."""
    name, requested = request.target.session, read_fault(request.body)

    async def run() -> None:
        while True:
            session = app.session(name)
            content = session.content
            found: NextFault = (await in_thread(partial(NextFault, session, content, requested)))()
            if app.find(name) is session and session.content is content:  # nobody has changed it in the meantime
                left = {each: fault for each, fault in app.next_faults.items() if fault.is_of(app.find(each))}
                app.next_faults = {**left, name: found}
                return

    def then(result: Callable[[], Any]) -> Response:
        result()
        return shown_fault(app, request)

    return Work(run, then)


def shown_fault(app: App, request: HttpRequest) -> Response:
    """The fault that is left, and for how many requests."""
    found = app.next_fault(request.target.session)
    fault = msgspec.to_builtins(found.fault) if found else None
    return json_response({"fault": fault, "requests": found.left if found else 0})


def end_fault(app: App, request: HttpRequest) -> Response:
    """Ends the fault before all requests have come."""
    app.next_faults.pop(request.target.session, None)
    return shown_fault(app, request)


def read_fault(body: bytes) -> RequestedFault:
    """The fault in the body of a request. Raises RequestError."""
    try:
        value: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        example = '{"fault": {"kind": "status", "status": 429}, "requests": 3}'
        raise RequestError(400, f"The fault is not valid JSON; send {example}.", "invalid_fault") from None
    try:
        found = msgspec.convert(value, RequestedFault)
    except msgspec.ValidationError as error:
        problem = next(iter(problems(value, RequestedFault)), None)
        message = f"{dotted(problem.path)}: {problem.message}" if problem else str(error)
        raise RequestError(400, writable(f"The fault is not valid: {message}"), "invalid_fault") from None
    if found.fault.counts:
        message = "The fault is not valid: 'times', 'after' and 'rate' count attempts at a rule; 'requests' beside the"
        raise RequestError(400, f"{message} fault sets how many requests get it.", "invalid_fault")
    return found
