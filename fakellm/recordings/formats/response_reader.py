"""From what a file keeps of a response to the plan that sends it again. Owns chunk remnants and which headers stay.

Knows no file format. The body of the plan is what a client read: without chunk framing and not compressed.
"""

from __future__ import annotations

import re

from fakellm.recordings.cassette import Headers
from fakellm.recordings.content_codings import decoded
from fakellm.wire.plan import Delimited, Frame, Plan

GONE = {"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"}
"""Headers that speak of how these bytes once travelled (RFC 9110, 7.6.1 and 8.6); whoever sends them says it anew."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


def plan(status: int, headers: Headers, body: bytes, place: str, *, delay: float = 0.0, receive: float = 0.0) -> Plan:
    """The plan of a recorded response. Raises CassetteError, at `place`, for a body that cannot be decoded.

    Its head is sent `delay` seconds after the request, its body `receive` seconds after its head. It is one frame, or
    one for each HTTP/1.1 chunk where the recording still has their framing.
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
    """The plan where the recording says that no response came: the connection is closed without one."""
    return Plan(None, (), (), delay=delay, end="close")


def dechunked(body: bytes) -> list[bytes] | None:
    """The chunks of a body that is, from its first byte to its last, HTTP/1.1 chunk framing (RFC 9112, 7.1); else None.

    No JSON and no events begin with a size, so nothing else is taken for it.
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
    """Whether the body is one of server-sent events, as a header says, or as it begins: some are sent as JSON."""
    kinds = [value.strip().lower() for name, value in headers if name.lower() == "content-type"]
    if any(kind.startswith("text/event-stream") for kind in kinds):
        return True
    return re.match(rb"(\xef\xbb\xbf)?\s*(data|event|id|retry)?:", body) is not None


def _delimited(headers: Headers, body: bytes) -> Delimited:
    return "chunked" if is_stream(headers, body) else "length"
