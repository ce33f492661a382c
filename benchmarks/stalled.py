"""What a stalled connection costs: the resident memory of a server with many of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.processes import allow_sockets, resident
from benchmarks.table import Line
from benchmarks.throughput import WORDS
from benchmarks.workloads import question, scripted, text

CONNECTIONS = 5_000
LIMIT_KIB = 20.0


def stalled(seconds: float, rounds: int) -> Iterator[Line]:
    """Each stalls after some bytes of its reply. Measured once: memory does not depend on how busy the machine is."""
    allow_sockets(CONNECTIONS + 200)
    template = question(stream=True)
    with ExitStack() as stack:
        server = stack.enter_context(servers.ours(scripted(text(WORDS), fault={"kind": "stall"}), strict=True))

        def open_one(number: int) -> None:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.settimeout(60)
            connection.sendall(template.request(number))
            if not connection.recv(1 << 16).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("a stalled stream did not start")

        open_one(0)  # not counted: it loads what the first stream needs
        before = resident(server.pid)
        for number in range(1, CONNECTIONS + 1):
            open_one(number)
        kib = (resident(server.pid) - before) / CONNECTIONS / 1024
    result = f"{kib:.1f} KiB each of {CONNECTIONS:,}"
    yield Line("stalled", "fakellm", result, target=("<=", LIMIT_KIB), checked=kib)
