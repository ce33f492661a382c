"""What a recording is: requests, and what answered each. Values only; knows no file format.

A response is a plan, the same value that a rule renders to: what was recorded is performed as it is.
"""

from __future__ import annotations

from msgspec import Struct

from fakellm.wire.plan import Plan

Headers = tuple[tuple[str, str], ...]
"""Names and values in order, spelt as they were; text of the characters of Latin-1, as HTTP's are (RFC 9110, 5.5)."""


class Asked(Struct, frozen=True):
    """A request as it was sent; `url` is whole, or a path where the recording does not know the host."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""


class Interaction(Struct, frozen=True):
    """A request and its response. One frame of the response is what arrived together; recordings that do not know what
    arrived when have one frame for the whole body, without a delay."""

    request: Asked
    response: Plan


class Cassette(Struct, frozen=True):
    """A recording: its interactions in order; `name` is the file it was read from.

    framed: whether it knows what arrived together, so that a stream in one frame came in one piece.
    """

    name: str
    interactions: tuple[Interaction, ...]
    framed: bool = False
