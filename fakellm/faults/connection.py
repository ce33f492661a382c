"""Faults on the wire: the right reply, and a connection or a head that fails it. Each makes a plan of another.

`fakellm.wire.plan` says what the ends of a plan are; the server performs them.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from fakellm.base.seed import Source
from fakellm.base.validation import FieldError
from fakellm.faults.base import Base, Place, check_header, place
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.timing import Seconds

replace = msgspec.structs.replace


COMMENT = b": ping\n\n"


class ConnectionFault(Base, frozen=True):
    """A fault of this level."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        """The plan with the fault in it. `comment`: a keep-alive, framed as the stream is."""
        raise NotImplementedError


class Break(ConnectionFault, frozen=True):
    """A reply that breaks off: at most one of these says where, and where none does the seed draws a byte."""

    at: Annotated[
        Literal["start", "headers"] | None,
        Meta(description=("`start`, before a byte of the reply is sent, or `headers`, right after them.")),
    ] = None
    frame: Annotated[
        Place, Meta(description=("After so many frames, `[DONE]` among them; this applies to streams alone."))
    ] = None
    byte: Annotated[Place, Meta(description="After so many bytes of the body, as a client counts them.")] = None

    def __post_init__(self) -> None:
        present = [name for name in ("at", "frame", "byte") if getattr(self, name) is not None]
        if len(present) > 1:
            raise FieldError((present[1],), f"{present[1]!r} beside {present[0]!r}: say once where it breaks off")

    def applies(self, stream: bool) -> bool:
        """Whether there is anything to break in a stream, or in a whole body, which has no frames."""
        return Base.applies(self, stream) and (stream or self.frame is None)

    def cut(self, plan: Plan, source: Source) -> Plan:
        """The plan up to there. A whole body keeps the Content-Length that it would have had."""
        if self.at == "start":
            return replace(plan, status=None, frames=())
        if plan.delimited != "chunked":
            plan = _announced(plan, len(plan.body))
        return replace(plan, frames=self.frames(plan, source))

    def frames(self, plan: Plan, source: Source) -> tuple[Frame, ...]:
        """The frames up to there; the last may be a piece of one."""
        if self.at:
            return ()
        if self.frame is not None:
            return plan.frames[: place(self.frame, len(plan.frames), source)]
        size = len(plan.body)
        left = source.below(max(size, 1)) if self.byte is None else place(self.byte, size, source)
        starts = accumulate((len(frame.data) for frame in plan.frames), initial=0)
        pieces = zip(starts, plan.frames, strict=False)
        return tuple(replace(frame, data=frame.data[: left - start]) for start, frame in pieces if start < left)


class Close(Break, frozen=True, tag="close"):
    """The server closes the connection (FIN), without the end that HTTP wants (F1, F2; F10 with `at: start`)."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="close")


class Reset(Break, frozen=True, tag="reset"):
    """The server resets the connection (RST) (F1, F2; F10 with `at: start`).

    What came before has reached the client's machine by then; whether a client that has not read it still can is its
    system's to say (Linux: yes).
    """

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="reset")


class Stall(Break, frozen=True, tag="stall"):
    """Nothing more comes, and the connection stays open until the client leaves or the server stops (F4)."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="stall")


class Drip(Break, frozen=True, tag="drip"):
    """A stream that stalls, with a comment every so many seconds, which does not count as progress (F5)."""

    every: Annotated[float, Meta(gt=0)] = 0.5
    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"

    def __post_init__(self) -> None:
        Break.__post_init__(self)
        if self.at == "start":
            raise FieldError(("at",), "no comment can come before the headers; 'headers' is right after them")

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="stall", drip=Frame(comment, self.every))


class Eof(Break, frozen=True, tag="eof"):
    """The body is short, and HTTP says that it is whole: a clean end (E1, E2; F9 for a body)."""

    def __post_init__(self) -> None:
        Break.__post_init__(self)
        if self.at == "start":
            raise FieldError(("at",), "no body can end before the headers; 'headers' is right after them")

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(plan, frames=self.frames(plan, source))


class HangUp(ConnectionFault, frozen=True, tag="hang_up"):
    """The reply is whole, and then the server closes the connection, which it said it would keep (F10)."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(plan, end="hang_up")


class Slow(ConnectionFault, frozen=True, tag="slow"):
    """Silence of so many seconds before the first byte, the headers' (F4)."""

    seconds: Seconds = 1.0

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(plan, delay=plan.delay + self.seconds)


class ContentType(ConnectionFault, frozen=True, tag="content_type"):
    """The right reply under a wrong Content-Type, or `null` for none at all (F8)."""

    content_type: str | None = "text/plain"

    def __post_init__(self) -> None:
        check_header(("content_type",), self.content_type)

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        others = tuple(header for header in plan.headers if header[0] != "Content-Type")
        present = (("Content-Type", self.content_type),) if self.content_type is not None else ()
        return replace(plan, headers=(*present, *others))


class ContentLength(ConnectionFault, frozen=True, tag="content_length"):
    """A Content-Length of so many bytes more than there are, and then the end of the connection (F9)."""

    more: Annotated[int, Meta(ge=1)] = 1

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(_announced(plan, len(plan.body) + self.more), delimited="length", end="close")


def _announced(plan: Plan, length: int) -> Plan:
    return replace(plan, headers=(*plan.headers, ("Content-Length", str(length))))
