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
from typing import Any

from msgspec.structs import replace

from fakellm.apis.operation import Keeper
from fakellm.apis.route import REPLIES
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine, LongWorkError, Match, Matched
from fakellm.engine.limited import spent
from fakellm.engine.response import Outcome, Response, Work, changed, respond
from fakellm.engine.state import AttemptCount, Session
from fakellm.engine.stored import SessionStore
from fakellm.model.request import Request
from fakellm.server.application import HttpRequest
from fakellm.server.offload import in_thread, offload
from fakellm.server.processes.answering import Answered
from fakellm.server.processes.elsewhere import MOST_MILLISECONDS, answered
from fakellm.server.processes.within_limits import following, take
from fakellm.wire.plan import Frame


def replied(session: Session[Engine], engine: Engine, request: HttpRequest, offloads: bool) -> Outcome:
    """The outcome of a request for a model: the reply of a rule of `engine`, or generated text. `offloads`: whether
    long work is done in another process."""
    keeper = request.target.api.keeper
    continued = continuing(session, request)
    most = MOST_MILLISECONDS if offloads and not continued else inf
    spending = None
    try:
        matched = engine.match(request.body, request.target.api, request.headers, most, request.target.url, continued)
        if engine.limits:
            spending = spent(engine, matched, following(session, matched.match), most)
    except LongWorkError:
        return Work(partial(answered_with, session, engine, request), _response)
    grant = take(session, engine, request, spending)
    if grant and not grant.allowed:
        return grant.refuse(engine, matched.parsed(), matched.route)
    if not matched.match.counts:
        outcome = _rendered(most, request, engine, matched, 1)
    else:
        count = session.count(*matched.match.count)
        attempted = partial(_attempted, most, request, engine, matched)
        outcome = attempted(count) if isinstance(count, AttemptCount) else _counted(count, attempted)
    if keeper:
        outcome = changed(outcome, partial(remembered, session.store, keeper, matched.parsed()))
    return changed(outcome, partial(grant.answer, route=matched.route), grant.ended) if grant else outcome


def _attempted(
    most: float, request: HttpRequest, engine: Engine, matched: Matched, count: AttemptCount
) -> Response | Work:
    outcome = _rendered(most, request, engine, matched, count.number)
    return _forgotten(outcome) if count.forgotten else outcome


def _counted(count: Awaitable[AttemptCount], attempted: Callable[[AttemptCount], Response | Work]) -> Work:
    """The work of waiting for the number of an attempt, and of what is `attempted` then."""

    async def run() -> Response:
        outcome = attempted(await count)
        return outcome if isinstance(outcome, Response) else outcome.then(await offload(outcome.run))

    return Work(run, lambda result: result())


def _rendered(most: float, request: HttpRequest, engine: Engine, matched: Matched, number: int) -> Response | Work:
    """The response to an attempt, or the work of rendering it."""
    try:
        return engine.respond(matched, number, most)
    except LongWorkError as error:
        if error.imports:
            return Work(
                partial(import_module, "fakellm.generate.json_schema.check"),
                lambda module: respond_now(engine, matched, number, module),
            )

    def then(result: Callable[[], Any]) -> Response:
        response = _response(result)
        engine.keep(matched, number, response)
        return response

    return Work(partial(answered, engine, request, number), then)


def respond_now(engine: Engine, matched: Matched, number: int, module: Callable[[], Any]) -> Response:
    """The response, after the module that it needs has been imported, which takes a third of a second."""
    module()
    response = engine.respond(matched, number)
    assert isinstance(response, Response)
    return response


def _response(result: Callable[[], Any]) -> Response:
    answer: Answered = result()
    assert answer.response
    return answer.response


async def answered_with(session: Session[Engine], engine: Engine, request: HttpRequest) -> Answered:
    """What another process answers to a request; its attempts are counted here, and functions are called here."""
    number, forgotten = 1, False
    try:
        answer = await answered(engine, request)
        match = answer.match
        if match and engine.limits:
            return await _limited(session, engine, request, match)
        if match and match.counts:
            count = session.count(*match.count)
            number, forgotten = count if isinstance(count, AttemptCount) else await count
            answer = await answered(engine, request, number)
    except RequestError as error:
        return await refused_there(engine, request, error)
    return await _completed(session, engine, request, answer, number, forgotten)


async def _limited(session: Session[Engine], engine: Engine, request: HttpRequest, match: Match) -> Answered:
    """What another process answers to a request within limits, which it counts too."""
    number, forgotten = following(session, match), False
    answer = await answered(engine, request, number)
    grant = take(session, engine, request, answer.spent)
    if grant and not grant.allowed:
        return replace(answer, response=grant.refuse(engine, await _read(request), request.target.api))
    try:
        if match.counts:
            count = session.count(*match.count)
            counted, forgotten = count if isinstance(count, AttemptCount) else await count
            if counted != number:  # another request came in the meantime
                number, answer = counted, await answered(engine, request, counted)
        answer = await _completed(session, engine, request, answer, number, forgotten)
        assert answer.response
        return replace(answer, response=grant.answer(answer.response, request.target.api)) if grant else answer
    except BaseException:
        if grant and grant.ended:
            grant.ended()
        raise


async def _completed(
    session: Session[Engine], engine: Engine, request: HttpRequest, answer: Answered, number: int, forgotten: bool
) -> Answered:
    """The answer, with the response of a function if one makes it; and kept, if the API keeps its replies."""
    response = answer.response or await _called(engine, request, number)
    keeper = request.target.api.keeper
    target = request.target
    if keeper and target.operation in REPLIES and response.head.status == 200:
        response = remembered(session.store, keeper, await _read(request), response)
    return replace(answer, response=replace(response, attempts_forgotten=forgotten))


async def _read(request: HttpRequest) -> Request:
    """The parsed request. A thread reads it, however long it is."""
    target = request.target
    read = await in_thread(lambda: target.api.parse(request.body, {}, target.url))
    found: Request = read()
    return found


async def refused_there(engine: Engine, request: HttpRequest, error: RequestError | None) -> Answered:
    """The refusal of a request, which another process makes."""
    return await answered(engine, request, error=error)


async def _called(engine: Engine, request: HttpRequest, number: int) -> Response:
    """The response of a rule whose reply is a function. A thread reads the request for it, however long it is."""

    def run() -> Response | Work:
        matched = engine.match(request.body, request.target.api, request.headers, url=request.target.url)
        return engine.respond(matched, number)

    outcome = (await in_thread(run))()
    return outcome.then(await offload(outcome.run)) if isinstance(outcome, Work) else outcome


def _forgotten(outcome: Response | Work) -> Response | Work:
    """The outcome, with the mark that this may not be the first attempt."""
    return changed(outcome, lambda response: replace(response, attempts_forgotten=True))


def continuing(session: Session[Engine], request: HttpRequest) -> Callable[[Request], Request] | None:
    """What makes the whole request of one that may continue a reply that is kept; None for any other request."""
    keeper = request.target.api.keeper
    if keeper is None or not keeper.refers(request.body):
        return None
    return partial(keeper.continued, kept=session.store.open(keeper).read())


def whole_request(session: Session[Engine] | None, request: HttpRequest) -> Request:
    """The request with what it continues, as far as the session still keeps that. Raises RequestError if it is not
    valid."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    found = request.target.api.parse(request.body, headers, request.target.url)
    continued = continuing(session, request) if session else None
    with suppress(RequestError):
        return continued(found) if continued else found
    return found


def remembered(store: SessionStore, keeper: Keeper, request: Request, response: Response) -> Response:
    """The response that a client gets now, after the reply has been kept. What a fault has changed is not."""
    if response.head.status != 200 or response.fault:
        return response
    sent = response.body
    now = keeper.at_once(request, store.add_reply(keeper, request, sent), sent)
    if now is sent:
        return response
    made = respond(replace(response.head, frames=(Frame(now),)))
    return replace(response, head=made.head, bursts=made.bursts, frames=made.frames)
