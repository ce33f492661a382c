"""Faults on the wire: the right reply with a wrong head or a connection that fails. Each turns a plan into another.

`fakellm.wire.plan` defines the ends of a plan; the server performs them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from fakellm.base.seed import Source
from fakellm.base.validation import FieldError
from fakellm.base.words.count import count
from fakellm.faults.base import Base, Idle, Place, check_header, place
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.spread import Seconds

replace = msgspec.structs.replace


COMMENT = b": ping\n\n"


class ConnectionFault(Base, frozen=True):
    """A fault at this level."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        """The plan with the fault in it. `comment`: a keep-alive, framed as the stream is."""
        raise NotImplementedError


class Break(ConnectionFault, frozen=True):
    """A reply that breaks off. At most one of these keys sets the place; without any, the seed draws a byte."""

    at: Annotated[
        Literal["start", "headers"] | None,
        Meta(description=("`start`, before the first byte of the reply, or `headers`, right after the headers.")),
    ] = None
    frame: Annotated[
        Place, Meta(description=("After this many frames, including `[DONE]`; this applies only to streams."))
    ] = None
    byte: Annotated[Place, Meta(description="After this many bytes of the body, as a client counts them.")] = None

    def __post_init__(self) -> None:
        present = [name for name in ("at", "frame", "byte") if getattr(self, name) is not None]
        if len(present) > 1:
            raise FieldError((present[1],), f"{present[1]!r} beside {present[0]!r}: say once where it breaks off")

    def applies(self, stream: bool) -> bool:
        """Whether the fault can apply to a stream, or to a whole body, which has no frames."""
        return Base.applies(self, stream) and (stream or self.frame is None)

    def idle(self, stream: bool, frames: int, body: Callable[[], bytes]) -> Idle | None:
        """See `Base.idle`. Where the fault breaks off may also be behind the end of the reply."""
        if self.breaks == "both" and self.frame is not None and not stream:
            reason = f"'frame' of {self.kind!r} needs a stream, and this request is not for one: leave 'frame' out"
            return Idle("fault.frame", reason)
        if not self.applies(stream):
            return Base.idle(self, stream, frames, body)
        if self.frame is not None and frames < self.frame:
            return self._late("frame", count(frames, "frame"))
        if self.byte is not None and self.byte > 0 and (size := len(body())) < self.byte:
            return self._late("byte", count(size, "byte"))
        return None

    def _late(self, key: str, end: str) -> Idle:
        place = f"'{key}: {getattr(self, key)}' of {self.kind!r} is too late"
        return Idle(f"fault.{key}", f"{place}: the reply is complete after {end}; set a lower {key!r}")

    def cut(self, plan: Plan, source: Source) -> Plan:
        """The plan up to the break. A whole body keeps the Content-Length that it would have had."""
        if self.at == "start":
            return replace(plan, status=None, frames=())
        if plan.delimited != "chunked":
            plan = _announced(plan, len(plan.body))
        return replace(plan, frames=self.frames(plan, source))

    def frames(self, plan: Plan, source: Source) -> tuple[Frame, ...]:
        """The frames up to the break; the last one may be cut."""
        if self.at:
            return ()
        if self.frame is not None:
            return tuple(plan.frames[: place(self.frame, len(plan.frames), source)])
        size = len(plan.body)
        left = source.below(max(size, 1)) if self.byte is None else place(self.byte, size, source)
        starts = accumulate((len(frame.data) for frame in plan.frames), initial=0)
        pieces = zip(starts, plan.frames, strict=False)
        return tuple(replace(frame, data=frame.data[: left - start]) for start, frame in pieces if start < left)


class Close(Break, frozen=True, tag="close"):
    """The server closes the connection (FIN) without the end that HTTP requires (F1, F2; F10 with `at: start`)."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="close")


class Reset(Break, frozen=True, tag="reset"):
    """The server resets the connection (RST) (F1, F2; F10 with `at: start`).

    By then, everything before the reset has reached the client's machine; whether a client that has not read it yet
    still can depends on its operating system (Linux: yes).
    """

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="reset")


class Stall(Break, frozen=True, tag="stall"):
    """Nothing more is sent, and the connection stays open until the client leaves or the server stops (F4)."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="stall")


class Drip(Break, frozen=True, tag="drip"):
    """A stream that stalls, with a comment `every` so many seconds, which does not count as progress (F5)."""

    every: Annotated[float, Meta(gt=0)] = 0.5
    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"

    def __post_init__(self) -> None:
        Break.__post_init__(self)
        if self.at == "start":
            raise FieldError(("at",), "no comment can come before the headers; 'headers' is right after them")

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(self.cut(plan, source), end="stall", drip=Frame(comment, self.every))


class Eof(Break, frozen=True, tag="eof"):
    """The body is cut short, but ends cleanly in HTTP, as if it were whole (E1, E2; F9 for a body)."""

    def __post_init__(self) -> None:
        Break.__post_init__(self)
        if self.at == "start":
            raise FieldError(("at",), "no body can end before the headers; 'headers' is right after them")

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(plan, frames=self.frames(plan, source))


class HangUp(ConnectionFault, frozen=True, tag="hang_up"):
    """The reply is whole, but then the server closes the connection that it promised to keep (F10)."""

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(plan, end="hang_up")


class Surplus(ConnectionFault, frozen=True, tag="surplus"):
    """The reply is whole, but more bytes follow its end, which a client may take for the next response. They have no
    effect on a body that ends with the connection."""

    text: Annotated[str, Meta(description="These bytes, in UTF-8.")] = "data: [DONE]\n\n"

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(plan, surplus=self.text.encode("utf-8", "replace"))


class Slow(ConnectionFault, frozen=True, tag="slow"):
    """A delay of `seconds` before the first byte, that of the headers (F4)."""

    seconds: Seconds = 1.0

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(plan, delay=plan.delay + self.seconds)


class ContentType(ConnectionFault, frozen=True, tag="content_type"):
    """The right reply with a wrong Content-Type, or with none if it is `null` (F8)."""

    content_type: str | None = "text/plain"

    def __post_init__(self) -> None:
        check_header(("content_type",), self.content_type)

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        others = tuple(header for header in plan.headers if header[0] != "Content-Type")
        present = (("Content-Type", self.content_type),) if self.content_type is not None else ()
        return replace(plan, headers=(*present, *others))


class ContentLength(ConnectionFault, frozen=True, tag="content_length"):
    """A Content-Length that is `more` bytes larger than the body, and then the end of the connection (F9)."""

    more: Annotated[int, Meta(ge=1)] = 1

    def apply(self, plan: Plan, source: Source, comment: bytes = COMMENT) -> Plan:
        return replace(_announced(plan, len(plan.body) + self.more), delimited="length", end="close")


def _announced(plan: Plan, length: int) -> Plan:
    return replace(plan, headers=(*plan.headers, ("Content-Length", str(length))))
