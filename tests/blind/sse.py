"""A careful reader of server-sent events (HTML 9.2.5 and 9.2.6) and of JSON (RFC 8259), on top of HTTP."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.blind.http import Headers, Http, Result
from tests.blind.wire import ClientError, Wire


class Event(NamedTuple):
    """A server-sent event."""

    type: str
    data: str


class Sse(Http):
    """Reads a stream of events, or one JSON body."""

    def respond(
        self, wire: Wire, status: int, headers: Headers, pieces: Iterator[bytes], request: dict[str, Any]
    ) -> Result:
        if status != 200:
            return self.at_status(status, b"".join(pieces))
        if not self.is_stream(headers):
            return self.whole(self.parsed(b"".join(pieces).decode()), request)
        return self.read(self.noted(wire, self.events(self.lines(self.text(pieces)))), request)

    def at_status(self, status: int, body: bytes) -> Result:
        """An error status has no answer."""
        raise ClientError(f"status {status}: {body[:200]!r}")

    def whole(self, body: Any, request: dict[str, Any]) -> Result:
        """A body that is not a stream is an error, unless the API knows better."""
        raise ClientError(f"not a stream: {str(body)[:200]}")

    def read(self, events: Iterator[Event], request: dict[str, Any]) -> Result:
        """What the events amount to."""
        raise NotImplementedError

    def noted(self, wire: Wire, events: Iterable[Event]) -> Iterator[Event]:
        """The events; each is progress."""
        for event in events:
            wire.progressed()
            yield event

    def is_stream(self, headers: Headers) -> bool:
        """Whether the media type is that of a stream, whatever its parameters (RFC 9110 8.3.1)."""
        media = self.value(headers, "content-type").partition(";")[0].strip()
        if media not in ("text/event-stream", "application/json", ""):
            raise ClientError(f"unexpected content of type {media!r}")
        return media != "application/json"

    def text(self, pieces: Iterable[bytes]) -> Iterator[str]:
        """The characters of a stream, which is always UTF-8, without a leading byte order mark."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        first = True
        try:
            for piece in pieces:
                if text := decoder.decode(piece):
                    yield text.removeprefix("\ufeff") if first else text
                    first = False
        except UnicodeDecodeError as error:
            raise ClientError(f"not UTF-8: {error}") from None

    def lines(self, texts: Iterable[str]) -> Iterator[str]:
        """The lines, which end with CR LF, LF or CR; what follows the last end is no line."""
        line, after_cr = "", False
        for text in texts:
            if after_cr and text:
                text, after_cr = text.removeprefix("\n"), False
            after_cr = text.endswith("\r")
            *whole, tail = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            for piece in whole:
                yield line + piece
                line = ""
            line += tail

    def field(self, line: str) -> tuple[str, str]:
        """A line's field and value: one space after the colon is not part of it."""
        name, _, value = line.partition(":")
        return name, value.removeprefix(" ")

    def events(self, lines: Iterable[str]) -> Iterator[Event]:
        """The events that have data."""
        kind, data = "", list[str]()
        for line in lines:
            if not line:
                if data:
                    yield Event(kind, "\n".join(data))
                kind, data = "", []
                continue
            name, value = self.field(line)
            if name == "data":
                data.append(value)
            elif name == "event":
                kind = value

    def parsed(self, data: str) -> Any:
        """A JSON text as a value."""
        try:
            return json.loads(data, parse_constant=self.constant)
        except ValueError as error:
            raise ClientError(f"not JSON: {error}: {data[:80]!r}") from None

    def constant(self, name: str) -> Any:
        """JSON has no NaN and no Infinity (RFC 8259 6)."""
        raise ValueError(f"{name} is not JSON")

    def joined(self, pieces: Iterable[str]) -> str:
        """The text of the pieces; halves of a surrogate pair may be in two of them."""
        text = "".join(pieces)
        if any("\ud800" <= char <= "\udfff" for char in text):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return text

    def whole_arguments(self, arguments: str, cut: bool) -> str:
        """The arguments of a call, which must be JSON unless the answer was cut."""
        if arguments.strip() and not cut:
            self.parsed(arguments)
        return arguments
