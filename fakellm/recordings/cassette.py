"""The values of a recording: requests, each with its response. It knows no file format.

A response is a plan, the same value that a rule renders to: the server performs it as it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from fakellm.wire.plan import Plan

Headers = tuple[tuple[str, str], ...]
"""Names and values in order, as they were spelled; text in the characters of Latin-1, as in HTTP (RFC 9110, 5.5)."""


class RecordedRequest(Struct, frozen=True):
    """A request as it was sent; `url` is a full URL, or a path if the recording does not have the host. `session`: the
    name of the recorder's session to which it was sent."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    session: str = ""


class Interaction(Struct, frozen=True):
    """A request and its response. A frame of the response is what arrived together; recordings without that information
    have one frame for the whole body, without a delay."""

    request: RecordedRequest
    response: Plan


class Cassette(Struct, frozen=True):
    """A recording: its interactions in order; `name` is the file that it was read from.

    framed: whether it has the information what arrived together, so that a stream in one frame came in one piece.
    notes: what was ignored or left out when the file was read, in words.
    numbers: those of the interactions in the file, from 1; empty if they are 1, 2, 3 and so on.
    damaged: the interactions of the file that could not be read, by number, and what is wrong with each.
    """

    name: str
    interactions: tuple[Interaction, ...]
    framed: bool = False
    notes: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    damaged: Mapping[int, str] = {}

    def numbered(self) -> Iterator[tuple[int, Interaction]]:
        """The interactions, each with its number in the file."""
        return zip(self.numbers or count(1), self.interactions, strict=False)

    def only(self, chosen: Callable[[int, Interaction], bool]) -> Cassette:
        """The recording of some of the interactions, which keep their numbers."""
        found = [(number, each) for number, each in self.numbered() if chosen(number, each)]
        interactions, numbers = tuple(each for _, each in found), tuple(number for number, _ in found)
        return replace(self, interactions=interactions, numbers=numbers)
