"""Captures a response while it arrives: its bytes and when they came, decompressed if possible.

It owns the times of arrival and the decoding of compressed bodies. It knows no sockets, and only reads a clock.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings import content_codings
from fakellm.recordings.cassette import Headers
from fakellm.recordings.content_codings import decoded
from fakellm.wire.plan import Delimited, Frame, Plan

# Headers about how the body was sent, which the plan has in its own fields.
_OF_THE_CONNECTION = re.compile("connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade", re.IGNORECASE)


MOST_BYTES = 256 * 2**20
"""The greatest body that is kept, with _FRAME for each frame: a server may send without an end."""
_FRAME = 100
"""Bytes that a frame takes besides its data."""


class Capture:
    """A response as far as it has arrived. `now` returns seconds, of any clock.

    Times are rounded to milliseconds, so pieces that came together have no delay between them.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.status: int | None = None
        self.headers: Headers = ()
        self.delimited: Delimited = "length"
        self.frames: list[Frame] = []
        self.count = 0
        """How many frames have arrived."""
        self.too_long = False
        """Whether the body has more than MOST_BYTES. Then none of it is kept."""
        self.end: Literal["complete", "close", "reset", "stall"] = "stall"
        """`stall` until the end has come: for a client that leaves now, the response stopped here."""
        self._size = 0
        self._delay = 0.0
        self._now = now
        self._start = now()
        self._last = 0  # milliseconds from the start to the last arrival

    def head(self, status: int, headers: Headers) -> None:
        """Adds the head, which states how the body is delimited (RFC 9112, section 6.3)."""
        self._delay = self._waited()
        values = {name.lower(): value for name, value in headers}
        self.status = status
        self.headers = tuple(pair for pair in headers if not _OF_THE_CONNECTION.fullmatch(pair[0]))
        # A 204 and a 304 have no body, whatever their headers announce.
        chunked = values.get("transfer-encoding", "").lower().endswith("chunked") and status not in (204, 304)
        self.delimited = "chunked" if chunked else "length" if "content-length" in values else "close"

    def body(self, data: bytes) -> None:
        """Adds a piece of the body: an HTTP/1.1 chunk, or the bytes of one read."""
        delay = self._waited()
        self._size += len(data) + _FRAME
        self.too_long = self.too_long or self._size > MOST_BYTES
        if self.too_long:
            self.frames.clear()
            self.count += 1
            return
        if self.frames and not delay and self.delimited != "chunked":
            last = self.frames[-1]
            self.frames[-1] = replace(last, data=last.data + data)
        else:
            self.frames.append(Frame(data, delay))
        self.count = len(self.frames)

    @property
    def plan(self) -> Plan:
        """The response as it arrived."""
        return Plan(self.status, self.headers, tuple(self.frames), self.delimited, delay=self._delay, end=self.end)

    def _waited(self) -> float:
        """Seconds since the last call."""
        last, self._last = self._last, round((self._now() - self._start) * 1000)
        return (self._last - last) / 1000


def readable(plan: Plan) -> Plan:
    """The response with its body decompressed, one frame for each frame that held data.

    Unchanged if that is impossible: a coding whose library is missing, damaged data, or more than MOST_BYTES. A
    compressed body that was cut off before its announced length is recorded as one in chunks that was cut off, since
    the length of the decompressed body was never announced.
    """
    cut = plan.delimited == "length" and plan.end != "complete"
    codings = [value.strip().lower() for name, value in plan.headers if name.lower() == "content-encoding"]
    frames = _decompressed(plan, ",".join(codings))
    if frames is not None:
        headers = tuple(pair for pair in plan.headers if pair[0].lower() not in ("content-encoding", "content-length"))
        return replace(plan, headers=headers, frames=frames, delimited="chunked" if cut else plan.delimited)
    if cut or not plan.frames:  # without a body, the length is that of one which was not sent: HEAD, 304
        return plan
    return replace(plan, headers=tuple(pair for pair in plan.headers if pair[0].lower() != "content-length"))


def _decompressed(plan: Plan, coding: str) -> tuple[Frame, ...] | None:
    """The frames without their content coding; None if they have none, or if that is impossible."""
    if coding in ("gzip", "x-gzip", "deflate"):
        frames = _inflated(plan.frames, coding, plan.end == "complete")
        if frames is not None or coding != "deflate":
            return frames
    if not coding or not plan.frames or plan.end != "complete":
        return None
    try:
        body = decoded(plan.body, plan.headers, "the response")
    except CassetteError:
        return None
    # What was decompressed as a whole has the time of its last byte.
    return None if body == plan.body else (Frame(body, sum(frame.delay for frame in plan.frames)),)


def _inflated(frames: Sequence[Frame], encoding: str, whole: bool) -> tuple[Frame, ...] | None:
    """The frames decompressed; None if they cannot be decompressed, or not to MOST_BYTES. A frame without data passes
    its delay on to the next."""

    def inflater() -> Any:
        return zlib.decompressobj(zlib.MAX_WBITS | 32 if encoding != "deflate" else zlib.MAX_WBITS)

    inflate, room = inflater(), content_codings.MOST_BYTES
    done, delay = [], 0.0
    try:
        for frame in frames:
            pieces, rest = [], frame.data
            while rest:
                if inflate.eof:  # the next member of a gzip file (RFC 1952, 2.2); some writers pad
                    rest = rest.lstrip(b"\0") if encoding != "deflate" else rest
                    inflate = inflater() if rest else inflate
                pieces.append(inflate.decompress(rest, room + 1))
                room -= len(pieces[-1])
                if room < 0:
                    return None
                rest = inflate.unused_data if inflate.eof else b""
            data, delay = b"".join(pieces), delay + frame.delay
            if data:
                done.append(Frame(data, delay))
                delay = 0.0
    except zlib.error:
        return None
    return None if whole and not inflate.eof else tuple(done)
