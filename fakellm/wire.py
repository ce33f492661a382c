"""What leaves the server and when: frames, plans and the bytes of HTTP/1.1. A delay is a number; nobody sleeps here."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Literal

from msgspec import Meta, Struct

_PHRASES = {status.value: status.phrase for status in HTTPStatus}

Seconds = Annotated[float, Meta(ge=0)]


class Frame(Struct, frozen=True):
    """Bytes that are due together, `delay` seconds after the frame before; in a stream, one HTTP/1.1 chunk."""

    data: bytes
    delay: float = 0.0


class Plan(Struct, frozen=True):
    """One HTTP response, whole: the server only performs it.

    A plan with `chunked` is sent as HTTP/1.1 chunks, one a frame; without, with a Content-Length.

    status: None where not even a head is sent.
    delay: seconds before the head.
    end: what follows the last frame: the end of the body that HTTP wants, and the connection is kept (`complete`) or
        closed (`hang_up`); or no such end, and the connection is closed (`close`), reset (`reset`), or left open
        until the client leaves (`stall`).
    drip: what is sent again and again while it stalls, and how many seconds apart.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...]
    frames: tuple[Frame, ...]
    chunked: bool = False
    delay: float = 0.0
    end: Literal["complete", "hang_up", "close", "reset", "stall"] = "complete"
    drip: Frame | None = None

    @property
    def body(self) -> bytes:
        return b"".join(frame.data for frame in self.frames)


class Timing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `timing:` block of a rule, in seconds: `first` before the first frame, `gap` before each of the others."""

    first: Seconds = 0.0
    gap: Seconds = 0.0


class Burst(Struct, frozen=True):
    """Bytes for the socket that are due at one instant, and how many frames they hold."""

    data: bytes
    delay: float
    frames: int


def pace(pieces: Iterable[bytes], timing: Timing) -> tuple[Frame, ...]:
    """The pieces as frames that are due when `timing` says."""
    return tuple(Frame(piece, timing.gap if i else timing.first) for i, piece in enumerate(pieces))


def bursts(plan: Plan, keep_alive: bool = True, http_1_0: bool = False) -> tuple[Burst, ...]:
    """The plan as bytes for the socket: the head at once, then the frames; those due at the same instant together.

    A chunked plan keeps its frames apart as chunks (RFC 9112, section 7.1). HTTP/1.0 has no chunks: there the body ends
    where the connection does.
    """
    chunked = plan.chunked and not http_1_0
    pieces, delay, frames = [] if plan.status is None else [_head(plan, keep_alive, chunked)], plan.delay, 0
    done = []
    for frame in plan.frames:
        if frame.delay:
            done.append(Burst(b"".join(pieces), delay, frames))
            pieces, delay, frames = [], frame.delay, 0
        pieces.append(_chunk(frame.data) if chunked else frame.data)
        frames += 1
    if chunked and plan.end in ("complete", "hang_up"):
        pieces.append(b"0\r\n\r\n")
    return (*done, Burst(b"".join(pieces), delay, frames))


def drip(plan: Plan, http_1_0: bool = False) -> Burst | None:
    """What a plan that stalls repeats, as bytes for the socket."""
    if plan.drip is None:
        return None
    data = _chunk(plan.drip.data) if plan.chunked and not http_1_0 else plan.drip.data
    return Burst(data, plan.drip.delay, 0)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(plan: Plan, keep_alive: bool, chunked: bool) -> bytes:
    lines = [f"HTTP/1.1 {plan.status} {_PHRASES.get(plan.status or 0, '')}"]
    lines += [f"{name}: {value}" for name, value in plan.headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif not plan.chunked and not any(name.lower() == "content-length" for name, _ in plan.headers):
        lines.append(f"Content-Length: {len(plan.body)}")
    if not keep_alive:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
