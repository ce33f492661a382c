"""How late paced frames leave, and what each costs in CPU time and each stream in memory, over real sockets.

``python benchmarks/pacing.py [streams] [frames a second] [seconds]``. The server has a process of its own; this one
opens the streams, spread over one gap, and reads them. ``python benchmarks/pacing.py stalled [connections]`` measures
the memory of connections that a fault stalls. UVLOOP=1 in the environment runs the server on uvloop.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import select
import socket
import subprocess
import sys
from pathlib import Path
from statistics import quantiles
from time import perf_counter, process_time, sleep
from typing import Any

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nAuthorization: Bearer x\r\n"
    b"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 3.0.0\r\nContent-Length: %d\r\n\r\n%b"
) % (len(BODY), BODY)


def memory() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def serve(rule: dict[str, Any]) -> None:
    """The server's process: prints its port, then answers each line of its input with what it has measured."""
    from fakellm.scenarios.loader import load
    from fakellm.server.http_server import Server, listen
    from fakellm.server.scenario_app import App
    from fakellm.server.sending import pacer

    late: list[float] = []
    due = pacer._Paced.due

    def measured(self: Any, now: float) -> float | None:
        place, lateness = self._place, self._pacer.clock.now() - self._due
        following = due(self, now)
        late.extend([lateness] * (self._place - place))  # several frames, if they are due by now
        return following

    pacer._Paced.due = measured  # type: ignore[method-assign]

    async def main() -> None:
        server = Server(App(load({"rules": [rule]})))
        print((await server.start(listen("127.0.0.1", 0))).rpartition(":")[2], flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            cuts = quantiles(late, n=100) if len(late) > 1 else [0.0] * 99
            facts = {"late": len(late), "p50": cuts[49], "p99": cuts[98], "max": max(late, default=0)}
            late.clear()
            print(json.dumps({**facts, "cpu": process_time(), "memory": memory()}), flush=True)
        await server.stop(grace=0)

    if os.environ.get("UVLOOP"):
        import uvloop  # type: ignore[import-not-found, unused-ignore]

        uvloop.run(main())
    else:
        asyncio.run(main())


class Started:
    """The server's process, as a context manager."""

    def __init__(self, rule: dict[str, Any]) -> None:
        command = [sys.executable, __file__, "serve", json.dumps(rule)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Started:
        self.port = int(self._line())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def facts(self) -> dict[str, float]:
        """What the server has measured since the last call."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        facts: dict[str, float] = json.loads(self._line())
        return facts

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


class Clients:
    """Connections to a server, which have sent the request; `read` reads what arrives."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._buffer = bytearray(2**16)

    def add(self) -> None:
        """Opens a connection and sends the request."""
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.sendall(REQUEST)
        connection.setblocking(False)
        self._sockets[connection.fileno()] = connection
        self._poll.register(connection, select.EPOLLIN)

    def read(self, seconds: float) -> None:
        """Reads for so long."""
        end = perf_counter() + seconds
        while (left := end - perf_counter()) > 0:
            for descriptor, _ in self._poll.poll(left):
                self._sockets[descriptor].recv_into(self._buffer)
            sleep(min(0.002, max(0.0, end - perf_counter())))  # several frames each time, so that reading costs little


def paced(streams: int, rate: float, seconds: float) -> None:
    """Measures streams that have `rate` frames a second."""
    words = "word " * (int(rate * seconds * 3) + 200)
    with Started({"reply": {"content": words}, "timing": {"gap": 1 / rate}}) as server:
        clients = Clients(server.port)
        clients.add()
        clients.read(1)
        before = server.facts()
        for _ in range(streams - 1):
            clients.add()
            clients.read(1 / rate / streams)
        clients.read(1)
        first = server.facts()
        clients.read(seconds)
        last = server.facts()
        frames = last["late"]
        print(
            f"{streams} streams, {frames / seconds:,.0f} frames a second: late p50 {last['p50'] * 1e3:.2f} ms, "
            f"p99 {last['p99'] * 1e3:.2f} ms, max {last['max'] * 1e3:.1f} ms; "
            f"CPU {(last['cpu'] - first['cpu']) / frames * 1e6:.1f} µs a frame; "
            f"{(last['memory'] - before['memory']) / streams / 1024:.1f} KiB a stream"
        )


def stalled(connections: int) -> None:
    """Measures connections that stall after their first frame."""
    with Started({"reply": {"content": "One two"}, "fault": {"kind": "stall", "frame": 1}}) as server:
        clients = Clients(server.port)
        clients.add()
        clients.read(0.5)
        before = server.facts()
        for _ in range(connections):
            clients.add()
        clients.read(2)
        after = server.facts()
        each = (after["memory"] - before["memory"]) / connections / 1024
        print(f"{connections} stalled connections: {each:.1f} KiB each")


def main(arguments: list[str]) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments[:1] == ["serve"]:
        serve(json.loads(arguments[1]))
    elif arguments[:1] == ["stalled"]:
        stalled(int((*arguments, "5000")[1]))
    else:
        streams, rate, seconds = map(float, [*arguments, *("2000", "25", "5")[len(arguments) :]])
        paced(int(streams), rate, seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
