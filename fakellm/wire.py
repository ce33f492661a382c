"""What leaves the server and when: frames, plans and the bytes of HTTP/1.1. A delay is a number; nobody sleeps here."""

from __future__ import annotations

from http import HTTPStatus

from msgspec import Struct

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Frame(Struct, frozen=True):
    """Bytes that are due together, `delay` seconds after the frame before; in a stream, one HTTP/1.1 chunk.

    One with `step` is due when the test lets it go.
    """

    data: bytes
    delay: float = 0.0
    step: bool = False


class Plan(Struct, frozen=True):
    """One HTTP response, whole: the server only performs it.

    A plan with `chunked` is sent as HTTP/1.1 chunks, one a frame; without, with a Content-Length.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    frames: tuple[Frame, ...]
    chunked: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(frame.data for frame in self.frames)


class Burst(Struct, frozen=True):
    """Bytes for the socket that are due at one instant, how many frames they hold, and whether they wait for a step."""

    data: bytes
    delay: float
    frames: int
    step: bool = False


def bursts(plan: Plan, keep_alive: bool = True, http_1_0: bool = False) -> tuple[Burst, ...]:
    """The plan as bytes for the socket: the head at once, then the frames; those due at the same instant together.

    A chunked plan keeps its frames apart as chunks (RFC 9112, section 7.1). HTTP/1.0 has no chunks: there the body ends
    where the connection does.
    """
    chunked = plan.chunked and not http_1_0
    pieces, delay, frames, step = [_head(plan, keep_alive, chunked)], 0.0, 0, False
    done = []
    for frame in plan.frames:
        if frame.delay or frame.step:
            done.append(Burst(b"".join(pieces), delay, frames, step))
            pieces, delay, frames, step = [], frame.delay, 0, frame.step
        pieces.append(b"%x\r\n%b\r\n" % (len(frame.data), frame.data) if chunked else frame.data)
        frames += 1
    if chunked:
        pieces.append(b"0\r\n\r\n")
    return (*done, Burst(b"".join(pieces), delay, frames, step))


def _head(plan: Plan, keep_alive: bool, chunked: bool) -> bytes:
    lines = [f"HTTP/1.1 {plan.status} {_PHRASES.get(plan.status, '')}"]
    lines += [f"{name}: {value}" for name, value in plan.headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif not plan.chunked:
        lines.append(f"Content-Length: {len(plan.body)}")
    if not keep_alive:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
