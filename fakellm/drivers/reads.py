"""Notes how large a client's reads of a body are, which shows whether it saw where the body was cut.

It does so for every client over `httpx` or `httpx2`, and for others that pass what they read to `counted`. Knows no
client.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

SIZES: list[int] = []
"""In bytes, of the last response."""
_NOTED: set[str] = set()


def note_reads() -> None:
    """From now on, notes the reads of all clients over those of these packages that were imported."""
    for name in {"httpx", "httpx2"} & sys.modules.keys() - _NOTED:
        _NOTED.add(name)
        package = sys.modules[name]
        streams = (package.SyncByteStream, package.AsyncByteStream)
        of_stream, of_async_stream = (type("Counted", (_Counted, each), {}) for each in streams)
        package.HTTPTransport.handle_request = _noting(package.HTTPTransport.handle_request, of_stream)
        transport = package.AsyncHTTPTransport
        transport.handle_async_request = _noting_async(transport.handle_async_request, of_async_stream)


def counted(parts: Iterable[bytes]) -> Iterator[bytes]:
    """What a client reads of a body, unchanged."""
    yield from _Counted(parts)


class _Counted:
    """The body of a response. A client may go on reading it with another iterator."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        SIZES.clear()

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            SIZES.append(len(part))
            yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            SIZES.append(len(part))
            yield part

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _noting(send: Callable[..., Any], kind: type) -> Callable[..., Any]:
    def handle_request(transport: Any, request: Any) -> Any:
        response = send(transport, request)
        response.stream = kind(response.stream)
        return response

    return handle_request


def _noting_async(send: Callable[..., Any], kind: type) -> Callable[..., Any]:
    async def handle_async_request(transport: Any, request: Any) -> Any:
        response = await send(transport, request)
        response.stream = kind(response.stream)
        return response

    return handle_async_request
