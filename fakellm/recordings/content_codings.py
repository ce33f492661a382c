"""Decompresses bodies: the content codings of HTTP (RFC 9110, 8.4.1). It knows no file format."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Headers

MOST_BYTES = 64 * 2**20
"""The greatest size of a decompressed body: a few kilobytes can expand to gigabytes."""

MOST_IN_ALL = 256 * 2**20
"""The greatest size of all decompressed bodies of a file together: it may have many of them."""


class UnreadableError(CassetteError):
    """What is wrong with a whole file, and not only with one of its interactions: its bodies expand to too much, or a
    library is missing."""


_room: ContextVar[list[int] | None] = ContextVar("room", default=None)
"""How many bytes the bodies of the file that is being read may still have, as the only item."""


@contextmanager
def within_limit() -> Iterator[None]:
    """In this block, all bodies together expand to at most MOST_IN_ALL bytes; `decoded` raises CassetteError if not."""
    before = _room.set([MOST_IN_ALL])
    try:
        yield
    finally:
        _room.reset(before)


def take_room(size: int, place: str) -> None:
    """Counts the bytes of a body that is not in the file itself. Raises CassetteError, with `place`, if all of them
    exceed the limit."""
    room = _room.get()
    if room is None:
        return
    room[0] -= size
    if room[0] < 0:
        message = f"the bodies up to here expand to more than {MOST_IN_ALL:,} bytes, which is the limit"
        raise UnreadableError([f"{place}: {message}: split the file"])


def decoded(body: bytes, headers: Headers, place: str) -> bytes:
    """The body without its content codings (RFC 9110, 8.4). A body that is UTF-8 was decoded when it was recorded.

    Raises CassetteError, with `place`, if it cannot be decoded.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        values = [value for name, value in headers if name.lower() == "content-encoding"]
        for coding in reversed(",".join(values).split(",")):
            body = _decode(body, coding.strip().lower() or "identity", place)
    return body


def _decode(body: bytes, coding: str, place: str) -> bytes:
    decoder = CODINGS.get(coding)
    if decoder is None:
        raise CassetteError([f"{place}: a body in the content coding {coding!r}; supported are {', '.join(CODINGS)}"])
    try:
        decoded = decoder(body)
    except ImportError as error:
        remedy = "pip install 'fakellm-server[codings]'"
        raise UnreadableError([f"{place}: a body in {coding} needs the package {error.name}: {remedy}"]) from None
    except Exception as error:  # each library raises its own
        raise CassetteError([f"{place}: the body is not valid {coding}: {error}; its bytes are damaged"]) from None
    if len(decoded) > MOST_BYTES:
        raise UnreadableError([f"{place}: a body in {coding} of more than {MOST_BYTES:,} bytes, which is the limit"])
    if coding != "identity":
        take_room(len(decoded), place)
    return decoded


def _zlib(window: int) -> Callable[[bytes], bytes]:
    def decode(body: bytes) -> bytes:
        reader = zlib.decompressobj(window)
        decoded = reader.decompress(body, MOST_BYTES + 1)
        if not reader.eof and len(decoded) <= MOST_BYTES:
            raise ValueError("it ends too early")
        return decoded

    return decode


def _gzip(body: bytes) -> bytes:
    """All members of the file (RFC 1952, 2.2)."""
    decoded = bytearray()
    while body and len(decoded) <= MOST_BYTES:
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        decoded += reader.decompress(body, MOST_BYTES + 1 - len(decoded))
        if not reader.eof and len(decoded) <= MOST_BYTES:
            raise ValueError("it ends too early")
        body = reader.unused_data.lstrip(b"\0")  # some writers pad
    return bytes(decoded)


def _deflate(body: bytes) -> bytes:
    """In RFC 9110 `deflate` is zlib's format; some servers send the raw format (RFC 1951)."""
    try:
        return _zlib(zlib.MAX_WBITS)(body)
    except zlib.error:
        return _zlib(-zlib.MAX_WBITS)(body)


def _brotli(body: bytes) -> bytes:
    reader = import_module("brotli").Decompressor()
    decoded: bytes = reader.process(body, output_buffer_limit=MOST_BYTES + 1)
    if not reader.is_finished() and len(decoded) <= MOST_BYTES:
        raise ValueError("it ends too early")
    return decoded


def _zstd(body: bytes) -> bytes:
    """All frames (RFC 8878, 3)."""
    decompressor: Any = import_module("zstandard").ZstdDecompressor()
    reader, decoded = decompressor.decompressobj(), bytearray()
    for at in range(0, len(body), 1024):  # it has no limit; 1 kB expands to 32 MB at most
        piece = body[at : at + 1024]
        while piece and len(decoded) <= MOST_BYTES:
            if reader.eof:
                reader = decompressor.decompressobj()
            decoded += reader.decompress(piece)
            piece = reader.unused_data
    if not reader.eof and len(decoded) <= MOST_BYTES:
        raise ValueError("it ends too early")
    return bytes(decoded)


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
    "identity": bytes,
}
"""The function that undoes each coding. It raises ImportError if its library is not installed, and the library's own
error if the bytes are damaged; it returns no more than about MOST_BYTES."""
