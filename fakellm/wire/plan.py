"""What leaves the server and when: frames and plans. A delay is a number; nothing waits here."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Delimited = Literal["chunked", "length", "close"]
HeaderCase = Literal["lower", "title", "upper"]


class Frame(Struct, frozen=True):
    """Bytes that are due together, `delay` seconds after the frame before; in a stream, one HTTP/1.1 chunk.

    One with `step` is due when the test lets it go.
    """

    data: bytes
    delay: float = 0.0
    step: bool = False


class Plan(Struct, frozen=True):
    """One HTTP response, whole: the server only performs it.

    delimited: how a reader finds the end of the body (RFC 9112, section 6.3): in HTTP/1.1 chunks, one a frame; by its
        Content-Length; or by the close of the connection.
    header_case: how the names of headers are written; None writes them as they stand here.
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
    delimited: Delimited = "length"
    header_case: HeaderCase | None = None
    delay: float = 0.0
    end: Literal["complete", "hang_up", "close", "reset", "stall"] = "complete"
    drip: Frame | None = None

    @property
    def body(self) -> bytes:
        return b"".join(frame.data for frame in self.frames)
