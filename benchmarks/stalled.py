"""What a stalled connection costs: the memory of a server with many of them, in one process and with workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.processes import allow_sockets, family, resident
from benchmarks.table import Line
from benchmarks.throughput import WORDS
from benchmarks.workloads import question, scripted, text

CONNECTIONS = 5_000
LIMIT_KIB = 20.0
"""In one process. Each process of a server with workers has a cache of its own, which grows meanwhile."""
WORKERS = (1, 2)
WARM = 20
"""Connections that are opened before: so many that each worker gets one of them."""


def stalled(seconds: float, rounds: int) -> Iterator[Line]:
    """Each stalls after some bytes of its reply. Measured once: memory does not depend on how busy the machine is."""
    allow_sockets(CONNECTIONS + 200)
    for workers in WORKERS:
        yield _measured(workers)


def _measured(workers: int) -> Line:
    template = question(stream=True)
    scenario = scripted(text(WORDS), fault={"kind": "stall"})
    with ExitStack() as stack:
        name = f"fakellm --workers {workers}"
        server = stack.enter_context(servers.ours(scenario, name, strict=True, workers=workers))
        pids = family(server.pid)

        for number in range(WARM):  # each process loads what its first stream needs
            stack.enter_context(servers.begin(server, template, number))
        before = sum(map(resident, pids))
        for number in range(WARM, WARM + CONNECTIONS):
            stack.enter_context(servers.begin(server, template, number))
        kib = (sum(map(resident, pids)) - before) / CONNECTIONS / 1024
    target = ("<=", LIMIT_KIB) if workers == 1 else None
    return Line("stalled", name, f"{kib:.1f} KiB each of {CONNECTIONS:,}", target=target, checked=kib)
