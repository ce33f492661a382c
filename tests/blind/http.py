"""A careful client of HTTP/1.1 (RFC 9110, RFC 9112) over a socket. Every method is a step that a bug can replace."""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.blind.wire import ClientError, Wire

Headers = list[tuple[str, str]]
Result = dict[str, Any]


class Http:
    """Sends one request after the other, and keeps its connection while it may."""

    path = "/"
    idle = 2.0

    def __init__(self) -> None:
        self.kept: Wire | None = None
        self.base = ""

    def __call__(self, base_url: str, request: dict[str, Any]) -> Result:
        wire = self.open(base_url)
        self.kept, self.base = None, urlsplit(base_url).path
        try:
            wire, (status, headers) = self.sent(wire, json.dumps(request).encode())
            body = self.body(wire, status, headers)
            result = self.respond(wire, status, headers, self.inflated(body, headers), request)
            if self.reusable(headers) and self.drained(wire, body):
                self.kept = wire
            return result
        finally:
            if self.kept is not wire:
                wire.close()

    def sent(self, wire: Wire, body: bytes) -> tuple[Wire, tuple[int, Headers]]:
        """The head of the response, and its connection: a new one if the kept one ends without a byte (RFC 9112 9.3.1)."""
        try:
            self.send(wire, self.base + self.path, body)
            return wire, self.head(wire)
        except BaseException as error:
            wire.close()
            if wire.received or not wire.kept or not isinstance(error, ClientError):
                raise
        return self.sent(Wire(wire.address, self.idle), body)

    def close(self) -> None:
        """Ends the kept connection."""
        if self.kept:
            self.kept.close()

    def respond(
        self, wire: Wire, status: int, headers: Headers, pieces: Iterator[bytes], request: dict[str, Any]
    ) -> Result:
        """What the response amounts to."""
        raise NotImplementedError

    def open(self, base_url: str) -> Wire:
        """The kept connection if it is still good, or else a new one."""
        url = urlsplit(base_url)
        address = (url.hostname or "", url.port or 80)
        if self.kept:
            if self.kept.address == address and not self.kept.stale():
                self.kept.keep()
                return self.kept
            self.kept.close()
        return Wire(address, self.idle)

    def send(self, wire: Wire, path: str, body: bytes) -> None:
        """Sends a request."""
        head = [
            f"POST {path} HTTP/1.1",
            f"Host: {wire.address[0]}:{wire.address[1]}",
            "Authorization: Bearer sk-test",
            "x-api-key: sk-test",
            "anthropic-version: 2023-06-01",
            "Content-Type: application/json",
            "Accept: text/event-stream",
            "Accept-Encoding: gzip, deflate",
            f"Content-Length: {len(body)}",
        ]
        wire.sendall("\r\n".join([*head, "", ""]).encode() + body)

    def head(self, wire: Wire) -> tuple[int, Headers]:
        """The status and the headers; interim responses are passed over (RFC 9110 15.2)."""
        while True:
            status, headers = self.one_head(wire)
            if status >= 200:
                return status, headers

    def one_head(self, wire: Wire) -> tuple[int, Headers]:
        """The head of the next response."""
        first = wire.line()
        status = self.status(first)
        headers: Headers = [("http-version", first[:8])]
        while line := wire.line():
            headers.append(self.header(line))
        return status, headers

    def status(self, line: str) -> int:
        """The status of a status line, whose reason may be missing (RFC 9112 4)."""
        found = re.match(r"HTTP/1\.\d (\d{3})(?: |$)", line)
        if not found:
            raise ClientError(f"not a status line: {line[:80]!r}")
        return int(found[1])

    def header(self, line: str) -> tuple[str, str]:
        """A header's name in lower case, and its value (RFC 9110 5.1, RFC 9112 5)."""
        name, _, value = line.partition(":")
        return name.lower(), value.strip(" \t")

    def value(self, headers: Headers, name: str) -> str:
        """A header's value in lower case: all of them, if it is repeated."""
        return ", ".join(value for key, value in headers if key == name).lower()

    def tokens(self, headers: Headers, name: str) -> list[str]:
        """The members of a header's list."""
        return [token.strip() for token in self.value(headers, name).split(",") if token.strip()]

    def body(self, wire: Wire, status: int, headers: Headers) -> Iterator[bytes]:
        """The content, without its transfer coding (RFC 9112 6.3)."""
        if status in (204, 304):
            return iter(())
        if "chunked" in self.tokens(headers, "transfer-encoding"):
            return self.chunked(wire)
        if length := self.tokens(headers, "content-length"):
            return wire.exactly(int(length[0]))
        return wire.rest()

    def chunked(self, wire: Wire) -> Iterator[bytes]:
        """The data of the chunks (RFC 9112 7.1)."""
        while size := self.chunk_size(wire.line()):
            yield from self.chunk_data(wire, size)
        self.trailers(wire)

    def chunk_size(self, line: str) -> int:
        """The size that starts a chunk, without its extensions (RFC 9112 7.1.1)."""
        digits = line.partition(";")[0].strip()
        if not re.fullmatch("[0-9A-Fa-f]+", digits):
            raise ClientError(f"not the size of a chunk: {line[:80]!r}")
        return int(digits, 16)

    def chunk_data(self, wire: Wire, size: int) -> Iterator[bytes]:
        """The data of one chunk."""
        yield from wire.exactly(size)
        if wire.line():
            raise ClientError("a chunk is longer than its size")

    def trailers(self, wire: Wire) -> None:
        """Reads past the trailer fields (RFC 9112 7.1.2)."""
        while wire.line():
            pass

    def inflated(self, pieces: Iterator[bytes], headers: Headers) -> Iterator[bytes]:
        """The content without its codings, the last one first (RFC 9110 8.4)."""
        for coding in reversed(self.tokens(headers, "content-encoding")):
            if coding in ("gzip", "x-gzip"):
                pieces = self.gunzipped(pieces)
            elif coding == "deflate":
                pieces = self.undeflated(pieces)
            elif coding != "identity":
                raise ClientError(f"unknown coding {coding!r}")
        return pieces

    def gunzipped(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The data of all members (RFC 1952 2.2)."""
        member = None
        for piece in pieces:
            while piece:
                member = member or zlib.decompressobj(31)
                yield self.inflate(member, piece)
                piece, member = member.unused_data, None if member.eof else member
        if member:
            raise ClientError("the gzip data ends early")

    def undeflated(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The data of a zlib stream (RFC 9110 8.4.1.2)."""
        stream = zlib.decompressobj()
        for piece in pieces:
            yield self.inflate(stream, piece)
        if not stream.eof:
            raise ClientError("the deflated data ends early")

    def inflate(self, stream: Any, piece: bytes) -> bytes:
        """What a piece of compressed data adds."""
        try:
            return bytes(stream.decompress(piece))
        except zlib.error as error:
            raise ClientError(f"damaged data: {error}") from None

    def reusable(self, headers: Headers) -> bool:
        """Whether the connection outlives this response (RFC 9112 9.3)."""
        framed = self.value(headers, "transfer-encoding") or self.value(headers, "content-length")
        tokens = self.tokens(headers, "connection")
        persistent = self.value(headers, "http-version") == "http/1.1" or "keep-alive" in tokens
        return bool(framed) and persistent and "close" not in tokens

    def drained(self, wire: Wire, body: Iterator[bytes]) -> bool:
        """Whether the rest of the body arrives soon."""
        wire.progressed()
        wire.idle = 0.1
        with contextlib.suppress(ClientError):
            for _ in body:
                pass
            wire.idle = self.idle
            return True
        return False
