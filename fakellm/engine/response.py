"""What handling a request results in: a response, or what the shell must do before there is one.

Values only. The shell in `server` performs them; nothing here knows a socket, a clock or a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.wire.http1 import Burst, bursts, frames_in
from fakellm.wire.plan import Plan


class Response(Struct, frozen=True):
    """A response as the bytes to write, with what the journal records about it. `respond` makes one of a plan."""

    head: Plan
    """The plan without its frames."""
    bursts: tuple[Burst, ...]
    """What is written to a connection of HTTP/1.1 that is kept. The frames are kept in no other form: as objects, they
    can take twice the memory, and they would be encoded again for each request."""
    frames: int
    """How many frames there are."""
    rule: str | None = None
    """The rule or recording that answered, `generated` or `upstream`; None where the request was refused."""
    matched: bool = True
    explanation: str | None = None
    fault: str | None = None
    """The kind of the fault that was injected."""
    valid: bool = False
    """Whether the request's body is known to be JSON, so that the journal need not check it."""
    attempts_forgotten: bool = False

    @property
    def plan(self) -> Plan:
        """The plan with its frames, read from the bytes each time."""
        return replace(self.head, frames=frames_in(self.head, self.bursts))


def respond(plan: Plan, **facts: Any) -> Response:
    """The response that performs a plan; `facts` are the other fields."""
    return Response(replace(plan, frames=()), bursts(plan), len(plan.frames), **facts)


class Release(Struct, frozen=True):
    """Frames of a stepped reply in `session` to release: this many, or all that are left (None).

    `request` is its number in the journal; None means the oldest reply with frames left. The shell waits up to
    `timeout` seconds for such a reply, and answers with the text of the frames that were sent.
    """

    session: str
    frames: int | None
    request: int | None
    timeout: float


class Relay(Struct, frozen=True):
    """The request goes to the upstream server, and the shell passes on what that answers."""


class Work(Struct, frozen=True):
    """What may take long or may wait: the shell runs it outside the event loop, then continues with `then`.

    run: called in a thread; where it returns an awaitable, the event loop awaits that.
    then: called on the event loop with a function that returns the result, or raises what `run` raised.
    """

    run: Callable[[], Any]
    then: Callable[[Callable[[], Any]], Response]


Outcome = Response | Release | Relay | Work
