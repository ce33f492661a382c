"""Reads flows of mitmproxy (https://mitmproxy.org), as `mitmdump -w` saves them: values one after the other.

The notation is tagged netstrings: the length, a colon, the content and its type. mitmproxy's own type `;` is text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Headers, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan, unanswered
from fakellm.recordings.formats.typed_values import Status

_DEEPEST = 50


class _Request(Struct):
    IGNORED: ClassVar = ("http_version", "trailers", "timestamp_start", "authority")

    method: bytes
    scheme: bytes
    host: str
    port: Annotated[int, Meta(ge=0, le=65_535)]
    path: bytes
    headers: list[tuple[bytes, bytes]]
    content: bytes | None = None
    timestamp_end: float | None = None


class _Response(Struct):
    IGNORED: ClassVar = ("http_version", "trailers", "reason")

    status_code: Status
    headers: list[tuple[bytes, bytes]]
    content: bytes | None = None
    timestamp_start: float | None = None
    timestamp_end: float | None = None


class _Flow(Struct):
    IGNORED: ClassVar = (
        *("websocket", "type", "version", "id", "client_conn", "server_conn", "intercepted", "is_replay"),
        *("marked", "metadata", "comment", "timestamp_created", "backup"),
    )

    request: _Request
    response: _Response | None = None
    error: Any = None
    """Why the connection broke off."""


def load(data: bytes, name: str) -> Cassette:
    """The recording in a file of flows; those that are not HTTP are left out. Raises CassetteError."""
    flows = [each for each in _values(data, name) if isinstance(each, dict) and "request" in each]
    return read_entries(name, flows, _Flow, f"{name}: ", _interaction)


def _interaction(read: _Flow, place: str) -> Interaction:
    request, response = read.request, read.response
    scheme, usual = request.scheme.decode("latin-1"), {b"https": 443, b"http": 80}.get(request.scheme)
    host = request.host if request.port == usual else f"{request.host}:{request.port}"
    url = f"{scheme}://{host}{request.path.decode('latin-1')}"
    sent = request.content or b""
    recorded = RecordedRequest(request.method.decode("latin-1"), url, _pairs(request.headers), sent)
    if response is None:
        return Interaction(recorded, unanswered())
    times = (request.timestamp_end, response.timestamp_start, response.timestamp_end)
    wait, receive = (_seconds(*times[number : number + 2]) for number in (0, 1))
    at = f"{place}.response.content"
    if response.content is None:
        raise CassetteError([f"{at}: its body was not kept: record without streaming (stream_large_bodies)"])
    answer = plan(response.status_code, _pairs(response.headers), response.content, at, delay=wait, receive=receive)
    return Interaction(recorded, replace(answer, end="close") if read.error else answer)


def _seconds(start: float | None, end: float | None) -> float:
    return round(max(end - start, 0.0), 6) if start is not None and end is not None else 0.0


def _pairs(listed: list[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in listed)


def _values(data: bytes, name: str) -> Iterator[Any]:
    """The values of a file. Raises CassetteError, with the byte at which one is not valid."""
    at = 0
    while at < len(data):
        value, at = _value(data, at, len(data), name, 0)
        yield value


def _value(data: bytes, at: int, most: int, name: str, depth: int) -> tuple[Any, int]:
    """The value that starts at a byte, and where it ends, before `most`."""
    colon = data.find(b":", at, at + 12)
    size = data[at:colon]
    end = colon + 1 + int(size) if colon > 0 and size.isdigit() else most
    if end >= most or depth > _DEEPEST:
        raise CassetteError([f"{name}: no value of a flow at byte {at}: the file was cut off or damaged"])
    kind, start = data[end : end + 1], colon + 1
    content = data[start:end]
    if kind in (b"]", b"}"):
        items: list[Any] = []
        while start < end:
            item, start = _value(data, start, end, name, depth + 1)
            items.append(item)
        try:
            return (dict(zip(items[::2], items[1::2], strict=True)) if kind == b"}" else items), end + 1
        except (TypeError, ValueError):
            raise CassetteError([f"{name}: not a mapping at byte {at}"]) from None
    try:
        return _SCALARS[kind](content), end + 1
    except (KeyError, ValueError):
        raise CassetteError([f"{name}: not a value of type {kind.decode('latin-1')!r} at byte {at}"]) from None


_SCALARS: dict[bytes, Any] = {
    b",": bytes,
    b";": lambda content: content.decode(),
    b"#": int,
    b"^": float,
    b"!": lambda content: content == b"true",
    b"~": lambda content: None,
}
"""What the content of each type stands for."""
