"""A response while it arrives, and what is kept of it: what came when, readable where that can be.

Owns the times of arrival and the decoding of compressed bodies. Knows no sockets; a clock only to read it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec.structs import replace

from fakellm.recordings.cassette import Headers
from fakellm.wire.plan import Delimited, Frame, Plan

# Those that say how the body was sent, which the plan itself does.
_OF_THE_CONNECTION = re.compile("connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade", re.IGNORECASE)


class Take:
    """A response as far as it has arrived. `now` tells seconds, of any clock.

    Times are rounded to milliseconds, so what came in one piece is due at once.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.status: int | None = None
        self.headers: Headers = ()
        self.delimited: Delimited = "length"
        self.frames: list[Frame] = []
        self.end: Literal["complete", "close", "reset", "stall"] = "stall"
        """Until the end has come: whoever leaves now has seen the response stop here."""
        self._delay = 0.0
        self._now = now
        self._start = now()
        self._last = 0  # milliseconds from the start to what came last

    def head(self, status: int, headers: Headers) -> None:
        """The head has come. How the body is delimited stands in it (RFC 9112, section 6.3)."""
        self._delay = self._waited()
        said = {name.lower(): value for name, value in headers}
        self.status = status
        self.headers = tuple(pair for pair in headers if not _OF_THE_CONNECTION.fullmatch(pair[0]))
        chunked = said.get("transfer-encoding", "").lower().endswith("chunked")
        self.delimited = "chunked" if chunked else "length" if "content-length" in said else "close"

    def body(self, data: bytes) -> None:
        """A piece of the body has come: an HTTP/1.1 chunk, or what the network gave."""
        delay = self._waited()
        if self.frames and not delay and self.delimited != "chunked":
            last = self.frames[-1]
            self.frames[-1] = replace(last, data=last.data + data)
        else:
            self.frames.append(Frame(data, delay))

    @property
    def plan(self) -> Plan:
        """What came, as it came."""
        return Plan(self.status, self.headers, tuple(self.frames), self.delimited, delay=self._delay, end=self.end)

    def _waited(self) -> float:
        """Seconds since this was last asked."""
        last, self._last = self._last, round((self._now() - self._start) * 1000)
        return (self._last - last) / 1000


def readable(plan: Plan) -> Plan:
    """The response as a reader has it: decompressed, in the pieces that each chunk held.

    As it is where that cannot be: in an encoding other than gzip and deflate, damaged, or cut off before the length
    that its compressed body was to have.
    """
    cut = plan.delimited == "length" and plan.end != "complete"
    encoding = ", ".join(value.lower() for name, value in plan.headers if name.lower() == "content-encoding")
    frames = None if cut else _inflated(plan.frames, encoding, plan.end == "complete")
    gone = {"content-encoding", "content-length"} if frames is not None else set() if cut else {"content-length"}
    headers = tuple(pair for pair in plan.headers if pair[0].lower() not in gone)
    return replace(plan, headers=headers, frames=plan.frames if frames is None else frames)


def _inflated(frames: Sequence[Frame], encoding: str, whole: bool) -> tuple[Frame, ...] | None:
    """The frames decompressed; None where they are not compressed, or cannot be. Empty ones give their delay on."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32 if encoding != "deflate" else zlib.MAX_WBITS)
    done, delay = [], 0.0
    try:
        for frame in frames:
            data, delay = inflate.decompress(frame.data), delay + frame.delay
            if data:
                done.append(Frame(data, delay))
                delay = 0.0
    except zlib.error:
        return None
    return None if inflate.unused_data or (whole and not inflate.eof) else tuple(done)
