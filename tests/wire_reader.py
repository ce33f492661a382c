"""A client that hides nothing: each HTTP chunk as it was sent, and how the connection ended."""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit


class Received(NamedTuple):
    """A response as it arrived. `pieces` are the HTTP chunks or, without chunks, the body."""

    status: int | None
    headers: dict[str, str]
    pieces: list[bytes]
    end: str
    """complete, close, reset, or left."""

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def replayable(self) -> tuple[int | None, list[bytes], str]:
        """What a replay of the response must send again."""
        return self.status, self.pieces, self.end


def receive(
    url: str, body: bytes, *lines: str, method: str = "POST", chunks: int | None = None, left: str = "close"
) -> Received:
    """The response to a request over its own connection. `chunks`: leaves after so many, by a close or a reset."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    head = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", f"Content-Length: {len(body)}"]
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as connection:
        connection.sendall("\r\n".join([*head, *lines, "", ""]).encode() + body)
        data, end = b"", "close"
        while True:
            if chunks is not None and len(_chunks(data.partition(b"\r\n\r\n")[2])[0]) >= chunks:
                end = "left"
                break
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                end = "reset"
                break
            if not piece:
                break
            data += piece
    return _read(data, end)


def _read(data: bytes, end: str) -> Received:
    if not data:
        return Received(None, {}, [], end)
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *others = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in others)}
    if headers.get("transfer-encoding") == "chunked":
        pieces, whole = _chunks(rest)
    else:
        pieces, whole = [rest] if rest else [], len(rest) == int(headers.get("content-length", len(rest)))
    return Received(int(first.split()[1]), headers, pieces, "complete" if whole and end == "close" else end)


def _chunks(rest: bytes) -> tuple[list[bytes], bool]:
    """The complete HTTP chunks, and whether the last one is among them."""
    chunks: list[bytes] = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return chunks, True
        if len(rest) < length + 2:
            break
        chunks.append(rest[:length])
        rest = rest[length + 2 :]
    return chunks, False
