"""Answers requests within the `limits:` of a scenario: takes what each uses up, or refuses it. Counts no attempts.

`engine.limited` knows what a request uses up; the session knows what is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct

from fakellm.apis.openai.api_keys import sent_key
from fakellm.apis.route import Route
from fakellm.engine.engine import Engine
from fakellm.engine.limited import Spent, demands, granted, over_limit
from fakellm.engine.response import Response
from fakellm.engine.state import Admission, Session
from fakellm.model.request import Request
from fakellm.quotas.quota import Demand
from fakellm.server.application import HttpRequest


class Grant(Struct, frozen=True):
    """What a request takes of the quotas of its session, and whether they allow it."""

    spent: Spent
    demanded: Sequence[Demand]
    admission: Admission

    @property
    def allowed(self) -> bool:
        """Whether the quotas allow the request."""
        return self.admission.standing.allowed

    def give_up(self) -> None:
        """Must be called, once, if there is no response after all."""
        if self.admission.give_back:
            self.admission.give_back()

    def answer(self, response: Response, route: Route) -> Response:
        """The response, with what is left."""
        return granted(response, route, self.admission.standing, self.admission.give_back)

    def refuse(self, engine: Engine, request: Request, route: Route) -> Response:
        """The refusal."""
        return over_limit(engine, request, route, self.spent, self.demanded, self.admission.standing)


def take(
    session: Session[Engine], engine: Engine, request: HttpRequest, spent: Spent | None
) -> Grant | Awaitable[Grant] | None:
    """Takes what a request uses up; None if that is nothing."""
    if spent is None:
        return None
    key, _ = sent_key(request.headers, request.target.query)
    demanded = demands(engine.limits, spent, key or "")
    if not demanded:
        return None
    admission = session.take(demanded)
    grant = partial(Grant, spent, demanded)
    return grant(admission) if isinstance(admission, Admission) else _awaited(admission, grant)


async def _awaited(admission: Awaitable[Admission], grant: Callable[[Admission], Grant]) -> Grant:
    return grant(await admission)
