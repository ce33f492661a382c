"""The outcomes of handling a request: a response, or what the server must do before there is one.

They are only values, and functions that make them: `server` performs them. Owns the headers that every response has.
Knows no socket, no clock and no thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.refuser import Refuser
from fakellm.apis.route import CHAT, Route
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON, dumps, writable
from fakellm.wire.http.http1 import Burst, body_in, bursts, frames_in
from fakellm.wire.on_demand import OnDemand
from fakellm.wire.plan import Frame, Plan


class Response(Struct, frozen=True):
    """A response as the bytes to write, with what the journal records about it. `respond` makes it from a plan."""

    head: Plan
    """The plan without its frames."""
    bursts: Sequence[Burst]
    """The bytes for a kept HTTP/1.1 connection. The frames are stored in no other form: as objects, they can take twice
    the memory, and they would be encoded again for each request. Those of a paced stream are made when they leave."""
    frames: int
    """How many frames there are."""
    rule: str | None = None
    """The rule or recording that answered, `generated` or `upstream`; None if the request was refused."""
    matched: bool = True
    explanation: str | None = None
    fault: str | None = None
    """The kind of the fault that was injected."""
    valid: bool = False
    """Whether the request's body is known to be JSON, so that the journal need not check it."""
    attempts_forgotten: bool = False
    without_effect: tuple[str, ...] = ()
    """The keys of the rule that have no effect: see `Entry.without_effect`."""
    dialect: str | None = None
    """The dialect of the rule that answered, in APIs that have dialects."""
    ended: Callable[[], None] | None = None
    """Called when the reply has ended, however it did."""

    @property
    def at_once(self) -> Burst | None:
        """The only burst, if there is only one."""
        bursts = self.bursts
        return bursts[0] if isinstance(bursts, tuple) and len(bursts) == 1 else None

    @property
    def stepped(self) -> bool:
        """Whether frames wait for a step."""
        return isinstance(self.bursts, tuple) and any(burst.step for burst in self.bursts)

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes: the bytes to write, and Python's objects around them."""
        bursts = self.bursts
        if not isinstance(bursts, tuple) and isinstance(bursts, OnDemand):  # what is abstract is slow to check
            return 2_000 + bursts.size
        return 2_000 + sum([len(burst.data) + 150 for burst in bursts])

    @property
    def plan(self) -> Plan:
        """The plan with its frames, which are read from the bytes each time."""
        return replace(self.head, frames=frames_in(self.head, self.bursts))

    @property
    def body(self) -> bytes:
        """The body, read from the bytes to write each time."""
        return body_in(self.head, self.bursts)


def respond(plan: Plan, **facts: Any) -> Response:
    """The response that performs a plan; `facts` are the other fields."""
    return Response(replace(plan, frames=()), bursts(plan), len(plan.frames), **facts)


class Release(Struct, frozen=True):
    """Frames of a stepped reply in `session` to release: this many, or all that are left (None).

    `request` is the reply's number in the journal; None means the oldest reply with frames left. The server waits up
    to `timeout` seconds for such a reply, and answers with the text of the frames that were sent.
    """

    session: str
    frames: int | None
    request: int | None
    timeout: float


class Pace(Struct, frozen=True):
    """The server states its speed. If `speed` is set, it is that from now on."""

    speed: float | None = None


class Relay(Struct, frozen=True):
    """The server sends the request to the upstream server, and passes its response on."""


class Watch(Struct, frozen=True):
    """The server sends what happens as events, until the client leaves: in one session, or in all (None).

    after: the id of the last event that the client has; empty if it has none.
    """

    session: str | None
    after: str = ""


class Work(Struct, frozen=True):
    """Work that may take long or may wait: the server runs it outside the event loop, then continues with `then`.

    run: called in a thread; if it returns an awaitable, the event loop awaits that.
    then: called on the event loop with a function that returns the result, or raises what `run` raised.
    waits: whether it waits for something to happen: it ends if the client ends its side.
    ended: called if there will be no response of `then`.
    """

    run: Callable[[], Any]
    then: Callable[[Callable[[], Any]], Response]
    waits: bool = False
    ended: Callable[[], None] | None = None


Outcome = Response | Release | Pace | Relay | Watch | Work


def give_up(outcome: Outcome) -> None:
    """Must be called for work that gives no response, and for a response that is not sent."""
    if isinstance(outcome, (Work, Response)) and outcome.ended:
        outcome.ended()


def changed(
    outcome: Response | Work, change: Callable[[Response], Response], ended: Callable[[], None] | None = None
) -> Response | Work:
    """The outcome, whose response `change` changes. `ended`: called if work gives no response."""
    if isinstance(outcome, Response):
        return change(outcome)
    return replace(outcome, then=lambda result: change(outcome.then(result)), ended=ended or outcome.ended)


def generated_response(value: JSON, seed: int, requested: str, route: Route = CHAT) -> Response:
    """The response with `value`, which depends on no rule; `requested` identifies the request."""
    plan = Plan(200, (("Content-Type", "application/json"),), (Frame(dumps(value, 2).encode() + b"\n"),))
    return respond(signed(plan, seed, "generated", requested, route), rule="generated")


def refusal(error: RequestError, seed: int, body: bytes = b"", route: Refuser = CHAT, url: str = "") -> Response:
    """The response that refuses a request, in the error shape of the API that its route belongs to. `url`: see
    `Api.parse`."""
    requested = blake2b(body, digest_size=16).hexdigest()
    return respond(signed(route.refusal(error, url), seed, None, requested, route), explanation=writable(error.message))


@lru_cache(maxsize=256)
def _signature(seed: int, rule: str | None) -> tuple[tuple[str, str], ...]:
    """The headers that name a rule and the seed."""
    named = (("x-fakellm-rule", quote(rule, safe=" #+/:")),) if rule else ()
    return (*named, ("x-fakellm-seed", str(seed)))


def signed(plan: Plan, seed: int, rule: str | None, requested: str, route: Refuser, dialect: str | None = None) -> Plan:
    """The plan with headers that name its rule and seed, and the API's headers that it lacks; all values are ASCII."""
    own = {name.lower() for name, _ in plan.headers}
    others = [header for header in route.headers(seed, requested, plan.status, dialect) if header[0] not in own]
    return replace(plan, headers=(*plan.headers, *_signature(seed, rule), *others))
