"""Answers requests within the `limits:` of a scenario: takes what each uses up, or refuses it. Counts no attempts.

`engine.limited` knows what a request uses up; the session knows what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from fakellm.apis.openai.api_keys import sent_key
from fakellm.apis.route import Route
from fakellm.engine.engine import Engine, Match
from fakellm.engine.limited import Spent, demands, granted, over_limit
from fakellm.engine.response import Response
from fakellm.engine.state import AttemptCount, Session
from fakellm.model.request import Request
from fakellm.quotas.quota import Demand, Standing
from fakellm.server.application import HttpRequest


class Grant(Struct, frozen=True):
    """What a request takes of the quotas of its session, and whether they allow it. `ended`: to be called when its
    reply has ended; None if it holds nothing."""

    spent: Spent
    demanded: Sequence[Demand]
    standing: Standing
    ended: Callable[[], None] | None

    @property
    def allowed(self) -> bool:
        """Whether the quotas allow the request."""
        return self.standing.allowed

    def answer(self, response: Response, route: Route) -> Response:
        """The response, with what is left."""
        return granted(response, route, self.standing, self.ended)

    def refuse(self, engine: Engine, request: Request, route: Route) -> Response:
        """The refusal."""
        return over_limit(engine, request, route, self.spent, self.demanded, self.standing)


def following(session: Session[Engine], match: Match) -> int:
    """The number of the next attempt, in a session with limits: this process has its counts."""
    if not match.counts:
        return 1
    counted = session.counted(*match.count)
    assert isinstance(counted, AttemptCount)
    return counted.number + 1


def take(session: Session[Engine], engine: Engine, request: HttpRequest, spent: Spent | None) -> Grant | None:
    """Takes what a request uses up; None if that is nothing."""
    if spent is None:
        return None
    key, _ = sent_key(request.headers, request.target.query)
    demanded = demands(engine.limits, spent, key or "")
    if not demanded:
        return None
    standing = session.take(demanded)
    held = [each for each in demanded if not each.period] if standing.allowed else []
    return Grant(spent, demanded, standing, session.give_back(held) if held else None)
