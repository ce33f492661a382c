"""Turns a plan into the bytes of HTTP/1.1, one write at a time. It knows no sockets and no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from http import HTTPStatus

from msgspec import Struct
from msgspec.structs import replace

from fakellm.wire.chunks import Chunks, PacedChunks, chunk, last_chunk, unchunked
from fakellm.wire.on_demand import OnDemand
from fakellm.wire.plan import Delimited, Frame, Plan

PHRASES = {status.value: status.phrase for status in HTTPStatus}
"""The reason phrase of each status, from HTTP's registry."""


LONG = 2**20
"""Bytes that are joined in less than a millisecond."""


class Burst(Struct, frozen=True):
    """Bytes for the socket that leave in one write, how many frames they hold, and whether they wait for a step, or
    until the client has had time to read what was sent before."""

    data: bytes
    delay: float
    frames: int
    step: bool = False
    separate: bool = False


def bursts(plan: Plan, keep_alive: bool = True, http_1_0: bool = False) -> Sequence[Burst]:
    """The plan as bytes for the socket, one burst for each write: the head first, then the frames.

    HTTP/1.1 chunks keep frames separate (RFC 9112, section 7.1), so frames that are due at the same time share a write.
    In any other body each frame is a write of its own, but a reader slower than the next write gets both at once. Many
    readers also get several chunks at once: only a frame with `separate` is certain to begin a read. HTTP/1.0 has no
    chunks; there, a chunked body ends when the connection closes.

    If the frames are made on demand, so are the bursts.
    """
    delimited = "close" if http_1_0 and plan.delimited == "chunked" else plan.delimited
    if http_1_0 and plan.head == "interim":
        plan = replace(plan, head=None)
    if delimited == "chunked" and isinstance(plan.frames, PacedChunks):
        return OnDemand(partial(_paced, plan, plan.frames, keep_alive), plan.frames.size)
    if delimited == "chunked" and _is_at_once(plan.frames):
        size = 0 if isinstance(plan.frames, Chunks) else sum(len(frame.data) for frame in plan.frames)
        if size > LONG:
            return OnDemand(partial(_in_turns, plan, keep_alive), size)
        return (_at_once(plan, keep_alive),)
    return tuple(_bursts(plan, delimited, keep_alive))


def _bursts(plan: Plan, delimited: Delimited, keep_alive: bool) -> Iterator[Burst]:
    chunked = delimited == "chunked"
    head = [] if plan.status is None else [_head(plan, delimited, keep_alive)]
    pieces, delay, frames, step, separate = head, plan.delay, 0, False, False
    for frame in plan.frames:
        alone = not chunked and (frames or (pieces and len(frame.data) > LONG))  # to join a long one takes long
        if frame.delay or frame.step or frame.separate or alone:
            yield Burst(b"".join(pieces), delay, frames, step, separate)
            pieces, delay, frames, step, separate = [], frame.delay, 0, frame.step, frame.separate
        pieces.append(chunk(frame.data, plan.chunks) if chunked else frame.data)
        frames += 1
    if chunked:
        pieces.append(_end(plan))
    yield Burst(b"".join(pieces), delay, frames, step, separate)
    if plan.surplus and delimited == "length":
        yield Burst(plan.surplus, 0.0, 0)


def _paced(plan: Plan, frames: PacedChunks, keep_alive: bool) -> Iterator[Burst]:
    """The bursts of chunks that are made on demand. They touch little memory, since other streams use the cache of the
    processor in between."""
    data = b"" if plan.status is None else _head(plan, "chunked", keep_alive)
    delay, count = plan.delay, 0
    for following, wait in zip(frames.chunks(), frames.delays(), strict=True):
        if wait:
            yield Burst(data, delay, count)
            data, delay, count = following, wait, 1
        else:
            data += following
            count += 1
    yield Burst(data + _end(plan), delay, count)


def _end(plan: Plan) -> bytes:
    """What ends a chunked body, and what follows it."""
    return last_chunk(plan.chunks, plan.trailers) + plan.surplus if plan.end in ("complete", "hang_up") else b""


def _is_at_once(frames: Sequence[Frame]) -> bool:
    return isinstance(frames, Chunks) or not any(frame.delay or frame.step or frame.separate for frame in frames)


def _at_once(plan: Plan, keep_alive: bool) -> Burst:
    """All of a chunked plan whose frames are due together."""
    head = b"" if plan.status is None else _head(plan, "chunked", keep_alive)
    frames = plan.frames
    body = frames.parts if isinstance(frames, Chunks) else [chunk(frame.data, plan.chunks) for frame in frames]
    return Burst(b"".join((head, *body, _end(plan))), plan.delay, len(frames))


def _in_turns(plan: Plan, keep_alive: bool) -> Iterator[Burst]:
    """All of a long chunked plan whose frames are due together, in bursts that are quick to join."""
    pieces = [] if plan.status is None else [_head(plan, "chunked", keep_alive)]
    delay, size, count = plan.delay, 0, 0
    for frame in plan.frames:
        pieces.append(chunk(frame.data, plan.chunks))
        size, count = size + len(frame.data), count + 1
        if size > LONG:
            yield Burst(b"".join(pieces), delay, count)
            pieces, delay, size, count = [], 0.0, 0, 0
    if rest := b"".join((*pieces, _end(plan))):
        yield Burst(rest, delay, count)


def head_of(bursts: Sequence[Burst]) -> Burst:
    """The head of a response alone: what answers a HEAD request (RFC 9110, 9.3.2)."""
    return Burst(bursts[0].data[: end_of_head(bursts[0].data)], bursts[0].delay, 0)


def headed(plan: Plan, bursts: Sequence[Burst], headers: Sequence[tuple[str, str]]) -> Sequence[Burst]:
    """The bursts of a plan that has a head, with these headers, whose names are in lower case, in place of those of the
    same name."""
    lines = [line.encode("latin-1") for line in _lines(plan, headers)]
    names = {name.encode("latin-1") for name, _ in headers}

    def first(burst: Burst) -> Burst:
        end = end_of_head(burst.data) - 4
        kept = [line for line in burst.data[:end].split(b"\r\n") if line.partition(b":")[0].lower() not in names]
        return replace(burst, data=b"\r\n".join((*kept, *lines)) + burst.data[end:])

    def each() -> Iterator[Burst]:
        following = iter(bursts)
        yield first(next(following))
        yield from following

    return OnDemand(each, bursts.size) if isinstance(bursts, OnDemand) else tuple(each())


def end_of_head(data: bytes) -> int:
    """Where the head of a response ends, with the interim responses before it."""
    start = 0
    while data.startswith(_INTERIM, start):
        start += len(_INTERIM)
    return data.index(b"\r\n\r\n", start) + 4


def frames_in(plan: Plan, bursts: Sequence[Burst]) -> tuple[Frame, ...]:
    """The frames of a plan that is given without them, from what `bursts` made of it for HTTP/1.1; its inverse."""
    found: list[Frame] = []
    for number, (burst, pieces) in enumerate(_pieces_in(plan, bursts)):
        found += map(Frame, pieces)
        if number and pieces:
            found[-len(pieces)] = Frame(pieces[0], burst.delay, burst.step, burst.separate)
    return tuple(found)


def body_in(plan: Plan, bursts: Sequence[Burst]) -> bytes:
    """The body of a plan that is given without its frames: see `frames_in`."""
    return b"".join(piece for _, pieces in _pieces_in(plan, bursts) for piece in pieces)


def _pieces_in(plan: Plan, bursts: Iterable[Burst]) -> Iterator[tuple[Burst, list[bytes]]]:
    """Each burst with the bytes of its frames."""
    for number, burst in enumerate(bursts):
        data = burst.data
        if number == 0 and plan.status is not None:
            data = data[end_of_head(data) :]
        yield burst, unchunked(data, burst.frames) if plan.delimited == "chunked" else [data] * burst.frames


def drip(plan: Plan, http_1_0: bool = False) -> Burst | None:
    """The bytes for the socket that a stalled plan repeats."""
    if plan.drip is None:
        return None
    data = chunk(plan.drip.data, plan.chunks) if plan.delimited == "chunked" and not http_1_0 else plan.drip.data
    return Burst(data, plan.drip.delay, 0)


def _head(plan: Plan, delimited: Delimited, keep_alive: bool) -> bytes:
    headers = list(plan.headers)
    if delimited == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
        if plan.trailers:
            headers.append(("Trailer", ", ".join(name for name, _ in plan.trailers)))
    elif delimited == "length" and "content-length" not in [name.lower() for name, _ in headers]:
        headers.append(("Content-Length", str(sum(len(frame.data) for frame in plan.frames))))
    if delimited == "close" or not keep_alive:
        headers.append(("Connection", "close"))
    phrase = "" if plan.head == "bare" else PHRASES.get(plan.status or 0, "")
    lines = [f"HTTP/1.1 {plan.status} {phrase}", *_lines(plan, headers), "", ""]
    head = "\r\n".join(lines).encode("latin-1")  # as recorded (RFC 9110, 5.5)
    return 2 * _INTERIM + head if plan.head == "interim" else head


def _lines(plan: Plan, headers: Iterable[tuple[str, str]]) -> list[str]:
    """Headers as a plan has them written."""
    if plan.header_case is not None:
        headers = [(getattr(name, plan.header_case)(), value) for name, value in headers]
    colon, end = _AROUND_VALUES.get(plan.head or "", (": ", ""))
    return [f"{name}{colon}{value}{end}" for name, value in headers]


_AROUND_VALUES = {"bare": (":", ""), "padded": (": \t ", "")}
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
