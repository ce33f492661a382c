"""Compressed bodies: the content codings of HTTP (RFC 9110, 8.4.1), undone. Knows no file format."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Headers

MOST_BYTES = 64 * 2**20
"""Of a body that a compressed one stands for: a few kilobytes can stand for gigabytes."""


def decoded(body: bytes, headers: Headers, place: str) -> bytes:
    """The body without its content codings (RFC 9110, 8.4). One that is UTF-8 was decoded when it was recorded.

    Raises CassetteError, at `place`, where it cannot be.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        values = [value for name, value in headers if name.lower() == "content-encoding"]
        for coding in reversed(",".join(values).split(",")):
            body = _decode(body, coding.strip().lower() or "identity", place)
    return body


def _decode(body: bytes, coding: str, place: str) -> bytes:
    decoder = _CODINGS.get(coding)
    if decoder is None:
        raise CassetteError([f"{place}: a body in the content coding {coding!r}; known are {', '.join(_CODINGS)}"])
    try:
        decoded = decoder(body)
    except ImportError as error:
        remedy = "pip install 'fakellm-server[codings]'"
        raise CassetteError([f"{place}: a body in {coding} needs the package {error.name}: {remedy}"]) from None
    except Exception as error:  # each library has its own
        raise CassetteError([f"{place}: a body that is no {coding}: {error}; its bytes are damaged"]) from None
    if len(decoded) > MOST_BYTES:
        raise CassetteError([f"{place}: a body in {coding} of more than {MOST_BYTES:,} bytes; so many are allowed"])
    return decoded


def _zlib(window: int) -> Callable[[bytes], bytes]:
    def decode(body: bytes) -> bytes:
        reader = zlib.decompressobj(window)
        decoded = reader.decompress(body, MOST_BYTES + 1)
        if not reader.eof and len(decoded) <= MOST_BYTES:
            raise ValueError("it ends too early")
        return decoded

    return decode


def _deflate(body: bytes) -> bytes:
    """RFC 9110 means zlib's format by `deflate`; some servers send the bare one (RFC 1951)."""
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
    reader: Any = import_module("zstandard").ZstdDecompressor().decompressobj()
    pieces, size = [], 0
    for at in range(0, len(body), 1024):  # it knows no limit; so much stands for 32 MB at most
        pieces.append(reader.decompress(body[at : at + 1024]))
        size += len(pieces[-1])
        if reader.eof or size > MOST_BYTES:
            return b"".join(pieces)
    raise ValueError("it ends too early")


_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _zlib(zlib.MAX_WBITS | 16),
    "x-gzip": _zlib(zlib.MAX_WBITS | 16),
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
    "identity": bytes,
}
