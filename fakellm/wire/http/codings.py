"""Compresses the frames of a body, each so that a reader can decompress it on arrival. Knows no HTTP and no files."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

from msgspec.structs import replace

from fakellm.wire.plan import Frame

Coding = Literal["deflate", "br", "zstd"]
PACKAGES: dict[Coding, str] = {"br": "brotli", "zstd": "zstandard"}
"""The package that a coding needs; gzip and deflate need none."""


def is_installed(coding: Coding) -> bool:
    """Whether the package for a coding is there."""
    return coding not in PACKAGES or find_spec(PACKAGES[coding]) is not None


def compressed(frames: Sequence[Frame], coding: Coding | Literal["gzip"]) -> list[Frame]:
    """The frames, compressed one after the other and flushed after each.

    Their bytes depend on the release of the library, except for gzip's; what they decompress to does not.
    """
    pieces = _MAKERS[coding]([frame.data for frame in frames])
    return [replace(frame, data=piece) for piece, frame in zip(pieces, frames, strict=True)]


def _gzip(frames: Sequence[bytes]) -> list[bytes]:
    """One gzip member (RFC 1952).

    The header is written here, with an unknown operating system and no time: zlib's own names the operating system. The
    compressed bytes are the same with every zlib; a replacement such as zlib-ng writes others that mean the same.
    """
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [deflate.compress(frame) + deflate.flush(zlib.Z_SYNC_FLUSH) for frame in frames[:-1]]
    body = b"".join(frames)
    check = zlib.crc32(body).to_bytes(4, "little") + (len(body) % 2**32).to_bytes(4, "little")
    pieces += [deflate.compress(frame) + deflate.flush() + check for frame in frames[-1:]]
    pieces[:1] = [b"\x1f\x8b\x08" + bytes(6) + b"\xff" + piece for piece in pieces[:1]]
    return pieces


def _deflate(frames: Sequence[bytes]) -> list[bytes]:
    """One zlib stream (RFC 9110, section 8.4.1.2; RFC 1950)."""
    compressor = zlib.compressobj()
    pieces = [compressor.compress(frame) + compressor.flush(zlib.Z_SYNC_FLUSH) for frame in frames[:-1]]
    return pieces + [compressor.compress(frame) + compressor.flush() for frame in frames[-1:]]


def _brotli(frames: Sequence[bytes]) -> list[bytes]:
    """One stream (RFC 7932)."""
    compressor = import_module("brotli").Compressor(quality=5)
    pieces = [compressor.process(frame) + compressor.flush() for frame in frames[:-1]]
    return pieces + [compressor.process(frame) + compressor.finish() for frame in frames[-1:]]


def _zstd(frames: Sequence[bytes]) -> list[bytes]:
    """One frame of zstd (RFC 8878)."""
    zstandard = import_module("zstandard")
    compressor = zstandard.ZstdCompressor().compressobj()
    block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    pieces = [compressor.compress(frame) + compressor.flush(block) for frame in frames[:-1]]
    return pieces + [compressor.compress(frame) + compressor.flush() for frame in frames[-1:]]


_MAKERS = {"gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd}
