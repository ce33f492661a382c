"""Keeps replies within the `limits:` of their scenario: what a request takes of each quota, and what it gets for that.

Pure functions: a session counts, and the caller takes from it. Knows no API's headers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b
from math import inf

from msgspec import UNSET, Struct
from msgspec.structs import replace

from fakellm.apis.protocol import Failure, InexpressibleError
from fakellm.apis.route import Route
from fakellm.apis.variation import Variation
from fakellm.base.errors import ReplyError, RequestError
from fakellm.base.validation import FieldError, shortened
from fakellm.engine.complete import complete
from fakellm.engine.engine import Engine, Match, Matched
from fakellm.engine.resolve import filled
from fakellm.engine.response import Response, respond, signed
from fakellm.faults import ResponseFault
from fakellm.model.request import Request
from fakellm.quotas.quota import Demand, Standing, Unit, seconds
from fakellm.quotas.rate_limits import RateLimit
from fakellm.scenarios.reply import Computed, Reply
from fakellm.wire.http.http1 import headed
from fakellm.wire.plan import Frame, Plan

Headers = tuple[tuple[str, str], ...]

_PERIODS = {"minute": 60_000, "day": 86_400_000}

_EMPTY = Reply()
"""Stands for the reply of a function, which is not known yet."""


class Spent(Struct, frozen=True):
    """What a request and the reply to it use up."""

    model: str
    dialect: str | None
    input: int = 0
    output: int = 0

    def amount(self, unit: Unit) -> int:
        """How many of these units."""
        tokens = {"tokens": self.input + self.output, "input_tokens": self.input, "output_tokens": self.output}
        return tokens.get(unit, 1)


def spent(engine: Engine, matched: Matched, number: int, most: float = inf) -> Spent | None:
    """What the attempt with this number uses up; None if its request is refused in any case.

    Tokens are those of the usage that the reply states or, if it states none, those that are counted for it. An error
    uses none, and the reply of a function only those of the prompt. Raises LongWorkError if counting them may take more
    than `most` milliseconds.
    """
    request, route = matched.parsed(), matched.route
    rule = engine.answering(matched, number, most)
    if rule is None:
        return None
    dialect = rule.dialect if rule.dialect in route.dialects else None
    nothing = Spent(request.model, dialect)
    streamed = matched.match.stream
    if isinstance(rule.fault_in(streamed), ResponseFault) or not any(each.tokens for each in engine.limits):
        return nothing
    try:
        settings = route.settings(rule.stream, dialect, request, engine.seed, streamed)
        reply = _EMPTY if isinstance(rule.reply, Computed) else filled(rule.reply, request, number)
        completion = complete(reply, request, engine.seed, route.provider(settings.habits))
        usage = route.restate(completion, request, reply.usage is UNSET).usage
    except (RequestError, ReplyError, FieldError, InexpressibleError):
        return None
    return replace(nothing, input=usage.input, output=usage.output) if usage else nothing


def alike(engine: Engine, match: Match, number: int) -> float:
    """The last of the attempts from this number on that are known to use up the same; infinity if all do."""
    if match.rule is None:
        return inf
    script = engine.ruleset.script(match.rule)
    if any(each.tokens for each in engine.limits):
        return script.alike(number, match.stream)
    last = script.last(match.stream)
    return last if number <= last else inf


def demands(limits: Sequence[RateLimit], spent: Spent, key: str) -> tuple[Demand, ...]:
    """What a request with this API key takes of the quotas of a scenario."""
    found: list[Demand] = []
    for number, limit in enumerate(limits):
        if limit.model is not None and not fnmatchcase(spent.model, limit.model):
            continue
        owner = {"session": "", "key": key, "model": spent.model}[limit.by]
        place = (str(number), blake2b(owner.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest())
        for period, allowance in (("minute", limit.per_minute), ("day", limit.per_day)):
            units: tuple[Unit, ...] = ("requests", "tokens", "input_tokens", "output_tokens")
            for unit in units:
                if (most := getattr(allowance, unit)) is not None:
                    found.append(Demand((*place, period, unit), unit, most, _PERIODS[period], spent.amount(unit)))
        if limit.concurrent is not None:
            found.append(Demand((*place, "concurrent"), "concurrent", limit.concurrent, 0, 1))
    return tuple(found)


def granted(response: Response, route: Route, standing: Standing, ended: Callable[[], None] | None) -> Response:
    """The response to a request that the quotas allow, whose headers show what is left. `ended`: called when its reply
    has ended."""
    headers = tuple(route.quota_headers(standing))
    if not headers or response.head.status is None:
        return replace(response, ended=ended)
    head = replace(response.head, headers=_with(response.head.headers, headers))
    return replace(response, head=head, bursts=headed(head, response.bursts, headers), ended=ended)


def over_limit(
    engine: Engine, request: Request, route: Route, spent: Spent, demanded: Sequence[Demand], standing: Standing
) -> Response:
    """The refusal of a request that the quotas do not allow, as the provider words it. `demanded`: what it demands."""
    message = _message(spent.model, demanded, standing)
    headers = tuple(route.quota_headers(standing))
    usual = dict(route.headers(engine.seed, request.digest, 429, spent.dialect))
    if standing.wait is not None:
        usual["retry-after"] = str(seconds(standing.wait))
    habits = route.settings(Variation(), spent.dialect, request, engine.seed, request.stream).habits
    kind, body = route.refuse(Failure(429, message, headers={**usual, **dict(headers)}), habits)
    plan = Plan(429, (("Content-Type", kind), *headers), (Frame(body),))
    plan = signed(plan, engine.seed, None, request.digest, route, spent.dialect)
    return respond(plan, explanation=message, valid=True)


def _message(model: str, demanded: Sequence[Demand], standing: Standing) -> str:
    """Which quota the request does not fit into; of several, the one that takes longest."""
    short = [(each, left) for each, left in zip(demanded, standing.left, strict=True) if left.wait != 0]
    demand, left = max(short, key=lambda pair: inf if pair[1].wait is None else pair[1].wait)
    unit = demand.unit.replace("_", " ")
    if not demand.period:
        unit, remedy = "concurrent requests", "Please try again when another reply has ended."
    else:
        unit = f"{unit} per {'minute' if demand.period == _PERIODS['minute'] else 'day'}"
        remedy = f"Please try again in {seconds(left.wait or 0)}s."
    if demand.amount > demand.limit:
        remedy = "No wait helps: the request is larger than the limit."
    used = left.limit - left.remaining
    counts = f"limit {left.limit:,}, used {used:,}, requested {demand.amount:,}"
    return f"Rate limit reached for {shortened(model)} on {unit}: {counts}. {remedy}"


def _with(headers: Headers, others: Headers) -> Headers:
    """The headers, with others in place of those of the same name."""
    names = {name for name, _ in others}
    return (*(header for header in headers if header[0].lower() not in names), *others)
