"""Wrong clients: HTTP/1.1 framing, headers, connections and codings (RFC 9110, RFC 9112, RFC 1952)."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from tests.blind.bug import wrong
from tests.blind.chat import Chat
from tests.blind.http import Headers
from tests.blind.wire import ClientError, Wire


@wrong(Chat, "chunk_size", "RFC 9112 7.1.1: a recipient must ignore unrecognized chunk extensions")
def keeps_the_chunk_extension(self: Chat, line: str) -> int:
    """Takes the whole line for the size of a chunk."""
    return int(line, 16)


@wrong(Chat, "chunk_size", "RFC 9112 7.1: chunk-size = 1*HEXDIG; RFC 5234: A to F in either case")
def knows_lower_case_sizes(self: Chat, line: str) -> int:
    """Reads the digits of a size with a table that has no capitals."""
    size = 0
    for digit in line.partition(";")[0].strip():
        size = size * 16 + "0123456789abcdef".index(digit)
    return size


@wrong(Chat, "chunk_size", "RFC 9112 7.1: chunk-size = 1*HEXDIG, so it may have leading zeros")
def ends_at_a_leading_zero(self: Chat, line: str) -> int:
    """Takes every size that begins with a zero for the last chunk."""
    return 0 if line.startswith("0") else Chat.chunk_size(self, line)


@wrong(Chat, "chunk_size", "RFC 9112 7.1: chunk-size = 1*HEXDIG, of any length")
def sizes_have_four_digits(self: Chat, line: str) -> int:
    """Reads at most four digits of the size."""
    return int(line.partition(";")[0].strip()[:4], 16)


@wrong(Chat, "chunk_data", "RFC 9112 7.1: a chunk has chunk-size octets, however they arrive")
def reads_a_chunk_at_once(self: Chat, wire: Wire, size: int) -> Iterator[bytes]:
    """Takes what one read returns for the whole chunk."""
    if not wire.buffer:
        wire.more()
    data, _, wire.buffer = wire.buffer[:size], None, wire.buffer[size:]
    yield data
    if len(data) == size:
        wire.line()


@wrong(Chat, "chunk_data", "RFC 9112 7.1: CRLF follows the data of a chunk, perhaps in a later segment")
def skips_a_line_end_that_has_not_arrived(self: Chat, wire: Wire, size: int) -> Iterator[bytes]:
    """Cuts the CRLF after a chunk from what has arrived, whether it is there or not."""
    yield from wire.exactly(size)
    wire.buffer = wire.buffer[2:]
    while not wire.buffer and wire.more():
        pass


@wrong(Chat, "trailers", "RFC 9112 7.1.2: trailer fields may follow the last chunk")
def leaves_trailers_unread(self: Chat, wire: Wire) -> None:
    """Reads one line after the last chunk, whatever it is."""
    wire.line()


@wrong(Chat, "header", "RFC 9110 5.1: field names are case-insensitive")
def knows_headers_in_title_case(self: Chat, line: str) -> tuple[str, str]:
    """Finds only headers that are written Like-This."""
    name, _, value = line.partition(":")
    return (name.lower() if name == name.title() else name + "?"), value.strip(" \t")


@wrong(Chat, "header", "RFC 9112 5: the whitespace after the colon is optional")
def needs_a_space_after_the_colon(self: Chat, line: str) -> tuple[str, str]:
    """Splits a header at a colon and a space."""
    name, _, value = line.partition(": ")
    return name.lower(), value


@wrong(Chat, "value", "RFC 9112 7: names of transfer codings are case-insensitive, and so are those of media types")
def compares_values_by_case(self: Chat, headers: Headers, name: str) -> str:
    """Compares the values of headers as they are written."""
    return ", ".join(value for key, value in headers if key == name)


@wrong(Chat, "body", "RFC 9112 6.3: without a length, the content ends with the connection")
def needs_a_length(self: Chat, wire: Wire, status: int, headers: Headers) -> Iterator[bytes]:
    """Takes a response that is neither chunked nor has a length for an empty one."""
    if self.value(headers, "transfer-encoding") or self.value(headers, "content-length"):
        return Chat.body(self, wire, status, headers)
    return iter(())


@wrong(Chat, "reusable", "RFC 9112 9.6: a client must not send requests after it received the close option")
def reuses_what_will_be_closed(self: Chat, headers: Headers) -> bool:
    """Keeps a connection that the server is about to close, even one that it must read to its end."""
    return True


@wrong(Chat, "drained", "RFC 9112 9.3: a client must read the entire response to use its connection again")
def leaves_the_rest_of_the_body(self: Chat, wire: Wire, body: Iterator[bytes]) -> bool:
    """Uses a connection again without the end of the last response."""
    wire.stale = lambda: False  # type: ignore[method-assign]
    return True


@wrong(Chat, "reusable", "RFC 9112 9.3: a connection of HTTP/1.0 does not persist unless it says keep-alive")
def believes_any_version(self: Chat, headers: Headers) -> bool:
    """Takes a response of HTTP/1.0 for one of a connection that persists."""
    return "close" not in self.tokens(headers, "connection")


@wrong(Chat, "gunzipped", "RFC 1952 2.2: a gzip file is a series of members")
def reads_one_gzip_member(self: Chat, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Stops at the end of the first gzip member."""
    member = zlib.decompressobj(31)
    for piece in pieces:
        yield self.inflate(member, piece)


@wrong(Chat, "gunzipped", "RFC 1952 2.2: the header of a member may have any length, and so may what arrives at once")
def unzips_each_read(self: Chat, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Takes each read for a gzip file of its own."""
    for piece in pieces:
        yield gzip.decompress(piece)


@wrong(Chat, "gunzipped", "RFC 1952 2.2: data is compressed as a whole; it can be read before it ends")
def unzips_at_the_end(self: Chat, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Waits for the end of the response before it unzips anything."""
    yield gzip.decompress(b"".join(pieces))


@wrong(Chat, "undeflated", "RFC 9110 8.4.1.2: deflate is the zlib format")
def takes_deflate_by_its_name(self: Chat, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Reads the coding `deflate` as raw deflated data, without the header of zlib."""
    stream = zlib.decompressobj(-15)
    for piece in pieces:
        yield self.inflate(stream, piece)


@wrong(Chat, "inflate", "RFC 1951: nothing bounds how much a piece of compressed data may become")
def inflates_into_a_fixed_buffer(self: Chat, stream: Any, piece: bytes) -> bytes:
    """Keeps the first 4 KiB that a read inflates to, and forgets the rest."""
    with contextlib.suppress(zlib.error):
        return bytes(stream.decompress(piece)[:4096])
    raise ClientError("damaged data")


@wrong(Chat, "inflated", "RFC 9110 8.4.1.3: a recipient should consider x-gzip to be equivalent to gzip")
def does_not_know_x_gzip(self: Chat, pieces: Iterator[bytes], headers: Headers) -> Iterator[bytes]:
    """Passes on the data of a coding that it does not know."""
    coding = self.value(headers, "content-encoding")
    return pieces if coding == "x-gzip" else Chat.inflated(self, pieces, headers)


@wrong(Chat, "head", "RFC 9110 15.2: a client must be able to parse interim responses before the final one")
def takes_an_interim_response(self: Chat, wire: Wire) -> tuple[int, Headers]:
    """Takes the first response, even one of the class 1xx."""
    return self.one_head(wire)


@wrong(Chat, "head", "RFC 9110 15.2: one or more interim responses may come before the final one")
def skips_one_interim_response(self: Chat, wire: Wire) -> tuple[int, Headers]:
    """Passes over one interim response."""
    status, headers = self.one_head(wire)
    return (status, headers) if status >= 200 else self.one_head(wire)


@wrong(Chat, "status", "RFC 9112 4: a client should ignore the reason phrase, which may be empty or missing")
def needs_the_reason_ok(self: Chat, line: str) -> int:
    """Looks for `200 OK`."""
    return 200 if line.endswith(" 200 OK") else 500


@wrong(Chat, "one_head", "RFC 9112 2.2: a message is a sequence of octets; the reads of a socket are not part of it")
def reads_the_head_at_once(self: Chat, wire: Wire) -> tuple[int, Headers]:
    """Takes what the first read returns for the whole head."""
    if b"\n" not in wire.buffer:
        wire.more()
    head, _, wire.buffer = wire.buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return self.status(first), [("http-version", first[:8]), *[self.header(line) for line in lines]]


@wrong(Chat, "is_stream", "RFC 9110 8.3.1: a media type may have parameters")
def knows_no_parameters(self: Chat, headers: Headers) -> bool:
    """Compares the whole Content-Type."""
    if self.value(headers, "content-type") not in ("text/event-stream", "text/event-stream; charset=utf-8"):
        raise ClientError("not an event stream")
    return True
