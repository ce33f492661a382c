"""Answers requests for a model with what another process makes of them: requests that take long to read, to match or
to answer.

Counts their attempts, takes what they use up of quotas, calls the functions of rules, and has APIs keep the replies.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from fakellm.apis.operation import Keeper
from fakellm.apis.route import REPLIES
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine, LongWorkError, Match
from fakellm.engine.limited import Spent, alike
from fakellm.engine.response import Response, Work, respond
from fakellm.engine.state import AttemptCount, Session
from fakellm.engine.stored import SessionStore
from fakellm.model.request import Request
from fakellm.server.application import HttpRequest
from fakellm.server.offload import in_thread, responded
from fakellm.server.processes.answering import Answered
from fakellm.server.processes.continued import continuing, kept_for
from fakellm.server.processes.elsewhere import answered
from fakellm.server.processes.within_limits import Demanding
from fakellm.wire.plan import Frame

T = TypeVar("T")

FIRST = AttemptCount(1, False)


async def answered_with(session: Session[Engine], engine: Engine, request: HttpRequest) -> Answered:
    """What another process answers to a request; its attempts are counted here, and functions are called here."""
    number, forgotten, kept = 1, False, kept_for(session, request)
    try:
        answer = await answered(engine, request, kept=kept)
        match = answer.match
        if match and engine.limits:
            return await _limited(session, engine, request, match, kept)
        if match and match.counts:
            number, forgotten = await _value(session.count(*match.count))
            answer = await answered(engine, request, number, kept=kept)
    except RequestError as error:
        return await refused_there(engine, request, error)
    return await _completed(session, engine, request, answer, number, forgotten, kept)


async def _limited(session: Session[Engine], engine: Engine, request: HttpRequest, match: Match, kept: Any) -> Answered:
    """What another process answers to a request within limits, which it counts too."""
    count = AttemptCount(await _value(session.following(*match.count)), False) if match.counts else FIRST
    admission = None
    while admission is None:  # until no other request has come in the meantime
        answer = await answered(engine, request, count.number, kept=kept)
        demanding = Demanding(engine, request, partial(_spent_by, count.number, answer.spent))
        if match.counts:
            attempt = session.count_within(match.count, demanding, partial(alike, engine, match))
            count, admission = await _value(attempt)
        elif demanded := demanding(1):
            admission = await _value(session.take(demanded))
        else:
            return await _completed(session, engine, request, answer, *count, kept)
    grant = demanding.grant(count.number, admission)
    if grant is None:
        return await _completed(session, engine, request, answer, *count, kept)
    if not grant.allowed:
        return replace(answer, response=grant.refuse(engine, await _read(request), request.target.api))
    try:
        answer = await _completed(session, engine, request, answer, *count, kept)
        assert answer.response
        return replace(answer, response=grant.answer(answer.response, request.target.api))
    except BaseException:
        grant.give_up()
        raise


def _spent_by(known: int, spent: Spent | None, number: int) -> Spent | None:
    """What an attempt uses up, of which another process has made the one with the number that is `known`."""
    if number != known:
        raise LongWorkError
    return spent


async def _value(value: T | Awaitable[T]) -> T:
    return await value if isinstance(value, Awaitable) else value


async def _completed(
    session: Session[Engine],
    engine: Engine,
    request: HttpRequest,
    answer: Answered,
    number: int,
    forgotten: bool,
    kept: Any,
) -> Answered:
    """The answer, with the response of a function if one makes it; and kept, if the API keeps its replies."""
    response = answer.response
    if response is None:
        assert answer.match
        response = await _called(engine, request, answer.match, number, kept)
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


async def _called(engine: Engine, request: HttpRequest, match: Match, number: int, kept: Any) -> Response:
    """The response of a rule whose reply is a function. A thread reads the request for it, however long it is."""
    target = request.target

    def run() -> Response | Work:
        continued = continuing(request, kept)
        matched = engine.matched(match, request.body, target.api, request.headers, target.url, continued)
        return engine.respond(matched, number)

    return await responded((await in_thread(run))())


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
