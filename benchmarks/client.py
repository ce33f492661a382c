"""A load client for any HTTP server: `python -m benchmarks.client PORT SECONDS FIRST < template`.

It keeps CONNECTIONS open, with one request at a time on each, and prints a JSON list of the latencies in seconds. It
knows the end of a response only; what it contains is checked once, before. A connection that breaks is opened again,
which ends its response.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from time import perf_counter

from benchmarks.workloads import Template

CONNECTIONS = 32
_END = b"\r\n0\r\n\r\n"

Next = Callable[[], bytes | None]
"""The next request to send, or None when there are no more."""


class Connection(asyncio.Protocol):
    """Sends requests one after the other until there are no more."""

    def __init__(self, next_request: Next, latencies: list[float], ended: Callable[[Connection, bool], None]) -> None:
        self._next = next_request
        self._latencies = latencies
        self._ended = ended
        self._running = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._next()
        self._running = request is not None
        if request is None:
            self._transport.close()
            return
        self._left: int | None = None  # bytes of the body to come, or -1 if the body is chunked; None before its head
        self._tail = b""
        self._start = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left is None:
            head, separator, data = (self._tail + data).partition(b"\r\n\r\n")
            if not separator:
                self._tail = head
                return
            self._left, self._tail = _length(head), b"\r\n"
        if self._left < 0:
            self._tail = (self._tail + data)[-len(_END) :]
            over = self._tail == _END
        else:
            self._left -= len(data)
            over = self._left == 0
        if over:
            self._latencies.append(perf_counter() - self._start)
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._running:
            self._latencies.append(perf_counter() - self._start)
        self._ended(self, self._running)


def _length(head: bytes) -> int:
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return -1
    at = lower.find(b"content-length:")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else -1


async def drive(port: int, next_request: Next, connections: int = CONNECTIONS) -> list[float]:
    """Sends requests until there are no more. The latencies in seconds, in the order in which the responses ended."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    done = asyncio.Event()
    open_connections, again = connections, set[asyncio.Task[None]]()

    async def connect() -> None:
        await loop.create_connection(lambda: Connection(next_request, latencies, ended), "127.0.0.1", port)

    def ended(_: Connection, broken: bool) -> None:
        nonlocal open_connections
        if broken:
            task = loop.create_task(connect())
            again.add(task)
            task.add_done_callback(again.discard)
            return
        open_connections -= 1
        if not open_connections:
            done.set()

    await asyncio.gather(*(connect() for _ in range(connections)))
    await done.wait()
    return latencies


def timed(template: Template, seconds: float, first: int) -> Iterator[bytes | None]:
    """Requests with the numbers from `first` on, for so many seconds."""
    end, number = perf_counter() + seconds, first
    while perf_counter() < end:
        yield template.request(number)
        number += 1
    while True:
        yield None


def main(port: str, seconds: str, first: str) -> None:
    head, tail = (bytes.fromhex(line) for line in sys.stdin.read().split("\n"))
    requests = timed(Template(head, tail), float(seconds), int(first))
    print(json.dumps(asyncio.run(drive(int(port), requests.__next__))))


if __name__ == "__main__":
    main(*sys.argv[1:])
