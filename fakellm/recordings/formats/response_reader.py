"""Makes the plan for a response in a recording. It decides which headers are kept, and removes chunk framing.

It knows no file format. The body of the plan is what a client read: without chunk framing, and decompressed.
"""

from __future__ import annotations

import re

from fakellm.recordings.cassette import Headers
from fakellm.recordings.content_codings import decoded
from fakellm.wire.kinds import kind_of
from fakellm.wire.plan import Delimited, Frame, Plan

GONE = {"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"}
"""Headers about how the bytes were once sent (RFC 9110, 7.6.1 and 8.6); whoever sends them again sets its own."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


def plan(status: int, headers: Headers, body: bytes, place: str, *, delay: float = 0.0, receive: float = 0.0) -> Plan:
    """The plan of a recorded response. Raises CassetteError, with `place`, for a body that cannot be decoded.

    The head is sent `delay` seconds after the request, the body `receive` seconds after the head. The body is one
    frame, or one for each HTTP/1.1 chunk if the recording still has the chunk framing.
    """
    chunks = dechunked(body)
    pieces = [body] if chunks is None else chunks
    joined = b"".join(pieces)
    plain = decoded(joined, headers, place)
    pieces = pieces if plain == joined else [plain]
    kept = tuple(pair for pair in headers if pair[0].lower() not in GONE and not pair[0].startswith(":"))
    frames = [Frame(piece, 0.0 if number else receive) for number, piece in enumerate(pieces) if piece]
    return Plan(status, kept, tuple(frames), _delimited(kept, plain), delay=delay)


def unanswered(delay: float = 0.0) -> Plan:
    """The plan for an interaction without a response: the connection is closed."""
    return Plan(None, (), (), delay=delay, end="close")


def dechunked(body: bytes) -> list[bytes] | None:
    """The chunks of a body that is HTTP/1.1 chunk framing from its first to its last byte (RFC 9112, 7.1); else None.

    Neither JSON nor events start with a size, so nothing else is mistaken for it.
    """
    chunks: list[bytes] = []
    at = 0
    while size := _SIZE.match(body, at):
        length, at = int(size[1], 16), size.end()
        if not length:
            return chunks if body[at:] == b"\r\n" else None
        if body[at + length : at + length + 2] != b"\r\n":
            return None
        chunks.append(body[at : at + length])
        at += length + 2
    return None


def is_stream(headers: Headers, body: bytes) -> bool:
    """Whether the body is server-sent events, by a header or by how it starts: some are sent as JSON."""
    kinds = [value.strip().lower() for name, value in headers if name.lower() == "content-type"]
    if any(kind.startswith("text/event-stream") for kind in kinds):
        return True
    return re.match(rb"(\xef\xbb\xbf)?\s*(data|event|id|retry)?:", body) is not None


def _delimited(headers: Headers, body: bytes) -> Delimited:
    lines = any(kind_of(value) for name, value in headers if name.lower() == "content-type")
    return "chunked" if lines or is_stream(headers, body) else "length"
