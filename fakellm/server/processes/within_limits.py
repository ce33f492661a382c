"""Answers requests within the `limits:` of a scenario: takes what each uses up, or refuses it. Counts no attempts.

`engine.limited` knows what a request uses up; the session knows what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from fakellm.apis.openai.api_keys import sent_key
from fakellm.apis.route import Route
from fakellm.engine.engine import Engine, LongWorkError
from fakellm.engine.limited import Spent, demands, granted, over_limit
from fakellm.engine.response import Response
from fakellm.engine.state import Admission
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


class Demanding:
    """What the attempts of one request demand of the quotas of its session, by their numbers: called as `Demands` is.

    spent: what an attempt uses up; None if that is nothing. It raises LongWorkError if that is not known here.
    """

    def __init__(self, engine: Engine, request: HttpRequest, spent: Callable[[int], Spent | None]) -> None:
        self._limits = engine.limits
        self._key = sent_key(request.headers, request.target.query)[0] or ""
        self._spent = spent
        self._found: dict[int, tuple[Spent | None, Sequence[Demand]]] = {}

    def __call__(self, number: int) -> Sequence[Demand] | None:
        try:
            spent = self._spent(number)
        except LongWorkError:
            return None
        demanded = demands(self._limits, spent, self._key) if spent else ()
        self._found[number] = spent, demanded
        return demanded

    def grant(self, number: int, admission: Admission) -> Grant | None:
        """What the attempt with this number takes; None if that is nothing. It takes the same as the last one before it
        that has been computed."""
        spent, demanded = self._found[max(each for each in self._found if each <= number)]
        return Grant(spent, demanded, admission) if spent and demanded else None
