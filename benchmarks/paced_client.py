"""Reads many paced streams at once and notes how late each frame is: `python -m benchmarks.paced_client PORT ...`.

The arguments are those of `measure`, in order; the template comes on standard input. It waits for all sockets at once
and reads them without an event loop, since at 50,000 frames a second a callback for each frame would make it late.
How long a frame may have waited for it is part of its result: the time of each turn.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from array import array
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from benchmarks.load import percentiles
from benchmarks.processes import allow_sockets
from benchmarks.workloads import Template

_EVENT_END = b"\n\n"
_STREAM_END = b"\r\n0\r\n\r\n"


@dataclass
class Stream:
    """The stream that a connection reads: when its request was sent, how many of its frames have arrived."""

    connection: socket.socket
    sent: float = 0.0
    frames: int = 0
    first_late: float = 0.0
    tail: bytes = b""


@dataclass
class Result:
    """In seconds. `drift`: by how much later the last frame of a stream was than its first one."""

    late: array[float] = field(default_factory=lambda: array("d"))
    drift: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    streams: int = 0


class Reader:
    """Opens all connections; each has one stream after the other, every one of them a new request."""

    def __init__(self, port: int, template: Template, streams: int, gap: float) -> None:
        self._template = template
        self._gap = gap
        self._number = 0
        self._poll = select.epoll()
        self.result = Result()
        self.streams: dict[int, Stream] = {}
        for _ in range(streams):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.streams[connection.fileno()] = Stream(connection)
            self._poll.register(connection, select.EPOLLIN)

    def send(self, stream: Stream) -> None:
        self._number += 1
        stream.sent, stream.frames, stream.tail = perf_counter(), 0, b""
        stream.connection.sendall(self._template.request(self._number))

    def turn(self, timeout: float) -> None:
        """Reads whatever has arrived, or waits for it at most `timeout`."""
        ready = self._poll.poll(timeout)
        start = perf_counter()
        for number, _ in ready:
            self._read(self.streams[number])
        if ready:
            self.result.turns.append(perf_counter() - start)

    def _read(self, stream: Stream) -> None:
        data = stream.connection.recv(1 << 16)
        if not data:
            raise RuntimeError(f"the server closed a connection after {stream.frames} frames")
        now = perf_counter()
        carry = b"\n" if stream.tail.endswith(b"\n") and not stream.tail.endswith(_EVENT_END) else b""
        for _ in range((carry + data).count(_EVENT_END)):
            stream.frames += 1
            late = now - stream.sent - stream.frames * self._gap
            self.result.late.append(late)
            if stream.frames == 1:
                stream.first_late = late
        stream.tail = (stream.tail + data)[-len(_STREAM_END) :]
        if stream.tail == _STREAM_END:
            self.result.streams += 1
            self.result.drift.append(now - stream.sent - stream.frames * self._gap - stream.first_late)
            self.send(stream)


def measure(port: int, streams: int, gap: float, ramp: float, seconds: float, template: Template) -> dict[str, Any]:
    """Starts the streams one by one during `ramp`, prints a line when all are open, and measures for some seconds."""
    reader = Reader(port, template, streams, gap)
    print("open", flush=True)
    start = perf_counter()
    for number, stream in enumerate(list(reader.streams.values())):
        while (left := start + ramp * number / streams - perf_counter()) > 0:
            reader.turn(left)
        reader.send(stream)
    print("all", flush=True)
    reader.result = Result()
    end = perf_counter() + seconds
    while (left := end - perf_counter()) > 0:
        reader.turn(left)
    result, elapsed = reader.result, perf_counter() - end + seconds
    print("end", flush=True)
    late, turns, drift = ([each * 1000 for each in values] for values in (result.late, result.turns, result.drift))
    return {
        "per_second": len(late) / elapsed,
        "frames": len(late),
        "late": percentiles(late),
        "turns": percentiles(turns),
        "drift": percentiles(drift)[0],
    }


def main(port: str, streams: str, gap: str, ramp: str, seconds: str) -> None:
    allow_sockets(int(streams) + 100)
    head, tail = (bytes.fromhex(line) for line in sys.stdin.read().split("\n"))
    template = Template(head, tail)
    result = measure(int(port), int(streams), float(gap), float(ramp), float(seconds), template)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
