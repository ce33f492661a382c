"""What the server sends, and when: frames and plans. A delay is a number here; nothing waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Delimited = Literal["chunked", "length", "close"]
HeaderCase = Literal["lower", "title", "upper"]
HeadForm = Literal["bare", "padded", "interim"]
"""How a head is written: with nothing that RFC 9112 makes optional, neither a reason phrase nor a space before a value
(sections 4 and 5); with more white space before each value; or after interim responses (RFC 9110, section 15.2)."""
ChunkForm = Literal["extensions", "zeros"]
"""How HTTP/1.1 chunks state their size (RFC 9112, section 7.1): with extensions, or in capitals with leading zeros."""


class Frame(Struct, frozen=True):
    """Bytes that leave together, `delay` seconds after the frame before; in a stream, one HTTP/1.1 chunk.

    With `step`, the frame leaves when the test releases it. With `separate`, it leaves, at any speed, when the client
    has had time to read what was sent before, so that no read holds bytes of both.
    """

    data: bytes
    delay: float = 0.0
    step: bool = False
    separate: bool = False


class Plan(Struct, frozen=True):
    """One complete HTTP response, which the server performs unchanged.

    delimited: how a reader finds the end of the body (RFC 9112, section 6.3): HTTP/1.1 chunks, one for each frame; a
        Content-Length; or the close of the connection.
    header_case: the case in which the names of headers are written; None writes them as they are.
    head: how the status line and the headers are written; None writes them as servers usually do.
    chunks, trailers: how the size of HTTP/1.1 chunks is written, and the fields that follow the last of them.
    status: None if not even a head is sent.
    delay: seconds before the head.
    end: what follows the last frame: the end of the body as HTTP requires it, after which the connection is kept
        (`complete`) or closed (`hang_up`); or no such end, and the connection is closed (`close`), reset (`reset`) or
        left open until the client leaves (`stall`).
    trailers: the fields after a body in chunks (RFC 9110, section 6.5).
    surplus: bytes after the end of the body, where HTTP states that end.
    cut_framing: whether reads end within HTTP's own lines too: see `fakellm.wire.http.segments`.
    drip: the frame that is repeated while the connection stalls; its `delay` is the interval in seconds.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...]
    frames: Sequence[Frame]
    delimited: Delimited = "length"
    header_case: HeaderCase | None = None
    delay: float = 0.0
    end: Literal["complete", "hang_up", "close", "reset", "stall"] = "complete"
    drip: Frame | None = None
    chunks: ChunkForm | None = None
    trailers: tuple[tuple[str, str], ...] = ()
    surplus: bytes = b""
    head: HeadForm | None = None
    cut_framing: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(frame.data for frame in self.frames)
