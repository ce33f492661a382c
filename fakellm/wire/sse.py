"""Server-sent events and their bytes: the lines of an event, and the decoder. It knows nothing about LLMs.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

_BOM = b"\xef\xbb\xbf"


class Event(Struct, frozen=True):
    """One event as a reader gets it: its data, its type and the last id so far."""

    data: str
    event: str = "message"
    id: str = ""


def fields(event: Event) -> list[tuple[str, str]]:
    """The names and values of the lines of an event.

    Data with line ends (LF, CR, CRLF) becomes several `data:` lines, which a reader joins with LF.
    """
    pairs = [("event", event.event)] if event.event != "message" else []
    if event.id:
        pairs.append(("id", event.id))
    return pairs + [("data", line) for line in event.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


class Decoder:
    """Decodes bytes, cut anywhere, into events.

    `feed` returns each event as soon as its blank line has ended. What follows the last blank line is not an event: the
    standard discards it at the end of the stream, and `unfinished` is true if there is any. `first`: whether the bytes
    are those of a stream from its start.
    """

    def __init__(self, first: bool = True) -> None:
        self._line: list[bytes] = []  # the pieces of the unfinished line
        self._first = first  # no line has ended yet: a byte order mark may open this one
        self._after_cr = False  # the last line ended in CR: an LF that follows belongs to it
        self._data: list[str] = []
        self._event = ""
        self._id = ""

    @property
    def unfinished(self) -> bool:
        """Whether there are bytes that no blank line has completed."""
        return bool(self._line or self._data)

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        return [event for line in self._lines(data) if (event := self._read(line)) is not None]

    def finish(self) -> list[Event]:
        """None: the end of the stream completes no event."""
        return []

    def _lines(self, data: bytes) -> Iterator[bytes]:
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        # Only CR, LF and CRLF end a line, as in bytes.splitlines(); str.splitlines() knows eight more line ends.
        for piece in data.splitlines(keepends=True):
            self._line.append(piece)
            if piece.endswith((b"\n", b"\r")):
                line, self._line = b"".join(self._line), []
                yield line.rstrip(b"\r\n")
        self._after_cr = self._after_cr or data.endswith(b"\r")

    def _read(self, line: bytes) -> Event | None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Event | None:
        # A block without a data line (a comment, an id, a retry) is not an event; one with an empty data line is.
        event = Event("\n".join(self._data), self._event or "message", self._id) if self._data else None
        self._data, self._event = [], ""
        return event


_BLANKS = (b"\n\n", b"\r\r", b"\r\n\r\n")
"""A line end and an empty line, in the usual ways to end lines."""


def from_the_end(data: bytes) -> Iterator[Event]:
    """The events of a whole stream, the last one first, without the ids of those before. No more is decoded than is
    read."""
    blanks, end = _BLANKS if b"\r" in data else _BLANKS[:1], len(data)
    while end:
        places = ((data.rfind(blank, 0, end - len(blank)), len(blank)) for blank in blanks)
        start = max((place + length for place, length in places if place >= 0), default=0)
        yield from reversed(Decoder(start == 0).feed(data[start:end]))
        end = start
