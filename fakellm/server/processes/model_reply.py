"""Answers requests for a model: which of a session's replies, and where it is rendered.

Work that would hold up the event loop is done in another process, which gives the same bytes. Counts the attempts;
knows no bodies of other routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from math import inf
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.operation import Keeper
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine, LongWorkError, Matched
from fakellm.engine.limited import alike, spent
from fakellm.engine.response import Response, Work, changed
from fakellm.engine.state import AttemptCount, Attempted, Session
from fakellm.model.request import Request
from fakellm.server.application import HttpRequest
from fakellm.server.offload import responded
from fakellm.server.processes.answered_there import FIRST, answered_with, remembered
from fakellm.server.processes.answering import Answered
from fakellm.server.processes.continued import continuing, kept_for
from fakellm.server.processes.elsewhere import MOST_BODY, MOST_MILLISECONDS, answered
from fakellm.server.processes.within_limits import Demanding

T = TypeVar("T")


def replied(session: Session[Engine], engine: Engine, request: HttpRequest, offloads: bool) -> Response | Work:
    """The outcome of a request for a model: the reply of a rule of `engine`, or generated text. `offloads`: whether
    long work is done in another process."""
    kept, target = kept_for(session, request), request.target
    most = MOST_MILLISECONDS if offloads else inf
    try:
        continued = None
        if kept is not None:
            if offloads and kept.size > MOST_BODY:
                raise LongWorkError
            continued = continuing(request, kept)
        matched = engine.match(request.body, target.api, request.headers, most, target.url, continued)
    except LongWorkError:
        return responding(partial(answered_with, session, engine, request))
    making = _Making(session, engine, request, matched, most, kept)
    return making.within_limits() if engine.limits else making.counted()


class _Making(Struct, frozen=True):
    """A reply to one request, step by step; in a worker, the values that steps need come from the owner of the state.
    `most`: the milliseconds after which another process takes over. `kept`: see `kept_for`."""

    session: Session[Engine]
    engine: Engine
    request: HttpRequest
    matched: Matched
    most: float
    kept: Any

    def within_limits(self) -> Response | Work:
        """The outcome of a request that takes of quotas."""
        match, most = self.matched.match, self.most
        demanding = Demanding(self.engine, self.request, lambda number: spent(self.engine, self.matched, number, most))
        then = partial(self._admitted, demanding)
        if match.counts:
            until = partial(alike, self.engine, match)
            return _known(self.session.count_within(match.count, demanding, until), then)
        demanded = demanding(1)
        if not demanded:
            return self._elsewhere() if demanded is None else self.counted()
        return _known(self.session.take(demanded), lambda admission: then(Attempted(FIRST, admission)))

    def _admitted(self, demanding: Demanding, attempted: Attempted) -> Response | Work:
        """The outcome for what the quotas have admitted."""
        count, admission = attempted
        if admission is None:
            return self._elsewhere()
        matched, grant = self.matched, demanding.grant(count.number, admission)
        if grant and not grant.allowed:
            return grant.refuse(self.engine, matched.parsed(), matched.route)
        try:
            outcome, keeper = self._attempted(count), self.request.target.api.keeper
            if keeper is not None:
                outcome = self._remembered(keeper, outcome)
            if grant is None:
                return outcome
            return changed(outcome, partial(grant.answer, route=matched.route), grant.give_up)
        except BaseException:
            if grant:
                grant.give_up()
            raise

    def _elsewhere(self) -> Work:
        """The work of having another process do it."""
        return responding(partial(answered_with, self.session, self.engine, self.request))

    def counted(self) -> Response | Work:
        """The outcome, after the attempt has been counted."""
        matched, keeper = self.matched, self.request.target.api.keeper
        if not matched.match.counts:
            outcome = self._rendered(1)
        else:
            outcome = _known(self.session.count(*matched.match.count), self._attempted)
        return outcome if keeper is None else self._remembered(keeper, outcome)

    def _remembered(self, keeper: Keeper, outcome: Response | Work) -> Response | Work:
        """The outcome, which the API keeps."""
        return changed(outcome, partial(remembered, self.session.store, keeper, self.matched.parsed()))

    def _attempted(self, count: AttemptCount) -> Response | Work:
        outcome = self._rendered(count.number)
        return _forgotten(outcome) if count.forgotten else outcome

    def _rendered(self, number: int) -> Response | Work:
        """The response to an attempt, or the work of rendering it."""
        engine, matched = self.engine, self.matched
        try:
            return engine.respond(matched, number, self.most)
        except LongWorkError as error:
            if error.imports:
                return Work(
                    partial(import_module, "fakellm.generate.json_schema.check"),
                    lambda module: respond_now(engine, matched, number, module),
                )

        def then(result: Callable[[], Any]) -> Response:
            answer: Answered = result()
            assert answer.response
            engine.keep(matched, number, answer.response)
            return answer.response

        return Work(partial(answered, engine, self.request, number, kept=self.kept), then)


def _known(value: T | Awaitable[T], then: Callable[[T], Response | Work]) -> Response | Work:
    """What follows from a value; if it must be awaited, the work of that and of what follows."""
    if not isinstance(value, Awaitable):
        return then(value)

    async def run() -> Response:
        return await responded(then(await value))

    return making_response(run)


def responding(run: Callable[[], Awaitable[Answered]]) -> Work:
    """The work of answering a request in another process."""

    async def made() -> Response:
        answer = await run()
        assert answer.response
        return answer.response

    return making_response(made)


def making_response(run: Callable[[], Awaitable[Response]]) -> Work:
    """The work of making a response. If that is made but never sent, what it holds of quotas is given back."""
    response: Response | None = None

    async def make() -> Response:
        nonlocal response
        response = await run()
        return response

    def ended() -> None:
        if response and response.ended:
            response.ended()

    return Work(make, lambda result: result(), ended=ended)


def respond_now(engine: Engine, matched: Matched, number: int, module: Callable[[], Any]) -> Response:
    """The response, after the module that it needs has been imported, which takes a third of a second."""
    module()
    response = engine.respond(matched, number)
    assert isinstance(response, Response)
    return response


def _forgotten(outcome: Response | Work) -> Response | Work:
    """The outcome, with the mark that this may not be the first attempt."""
    return changed(outcome, lambda response: replace(response, attempts_forgotten=True))


def whole_request(session: Session[Engine] | None, request: HttpRequest) -> Request:
    """The request with what it continues, as far as the session still keeps that. Raises RequestError if it is not
    valid."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    found = request.target.api.parse(request.body, headers, request.target.url)
    continued = continuing(request, kept_for(session, request)) if session else None
    with suppress(RequestError):
        return continued(found) if continued else found
    return found
