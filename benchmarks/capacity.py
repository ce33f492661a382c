"""What one paced stream costs a server of one process and of several, for docs/reference/capacity.md; and what follows
for more workers than this machine has cores for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from os import cpu_count

from benchmarks import servers
from benchmarks.processes import allow_sockets, children, cpu_seconds, resident
from benchmarks.table import Line
from benchmarks.workloads import ROOT, question, scripted, text

STREAMS = 2_000
GAP = 0.04
WORDS = 240
"""Of each stream: with its other frames, it takes about ten seconds."""
WORKERS = (1, 2)
MODELLED = (4, 8, 16, 32, 64)
FULL = 0.8
"""Of a core, how much of it a process can use before its frames are late."""


@dataclass(frozen=True)
class Used:
    """What a server used.

    owner, workers, load: cores, of the process that has the state, of those that serve, and of the load; a server of
        one process has no owner.
    frames: how many arrive in a second. late: the median and the 99th percentile, in milliseconds.
    """

    owner: float
    workers: float
    load: float
    bytes_each: float
    frames: float
    late: tuple[float, float]

    def streams(self, workers: int) -> float:
        """How many streams so many workers carry, each on a core of its own, if nothing else limits them."""
        return workers * FULL * self.frames * GAP / self.workers

    @property
    def most(self) -> float:
        """How many streams the owner carries, however many workers there are."""
        return FULL * self.frames * GAP / self.owner if self.owner else inf


def capacity(seconds: float, rounds: int) -> Iterator[Line]:
    """A window of five times `seconds` for each number of workers, once; then lines that are computed from the last."""
    allow_sockets(STREAMS + 200)
    for workers in WORKERS:
        used = _measured(workers, seconds * 5)
        cores = f"{used.owner + used.workers:.2f} of {cpu_count()} cores, {used.load:.2f} for the load"
        if used.owner:
            cores += f", {used.owner:.2f} for the owner"
        result = f"{STREAMS:,} streams of {1 / GAP:.0f} frames/s: {cores}, {used.bytes_each / 1024:.0f} KiB a stream"
        yield Line("capacity", f"--workers {workers}", f"{result}, late by", *used.late)
    for workers in MODELLED:
        streams = min(used.streams(workers), used.most)
        owner = FULL * streams / used.most
        limit = ", all that its owner carries" if streams == used.most else ""
        result = f"{streams:,.0f} streams of {1 / GAP:.0f} frames/s, {owner:.2f} of a core for the owner{limit}"
        yield Line("capacity", f"--workers {workers}, computed", result)


def _measured(workers: int, window: float) -> Used:
    scenario = scripted(text(WORDS), timing={"first": GAP, "gap": GAP})
    with servers.ours(scenario, strict=True, workers=workers) as server:
        owner, serving = ([server.pid], children(server.pid)) if workers > 1 else ([], [server.pid])
        template = question(stream=True)
        servers.reply(server, template, 999_999_999)  # loads what the first stream needs
        arguments = [server.port, STREAMS, GAP, WORDS * GAP, window]
        command = [sys.executable, "-m", "benchmarks.paced_client", *map(str, arguments)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            assert client.stdin
            assert client.stdout
            groups = owner, serving, [client.pid]

            def cpu() -> list[float]:
                return [sum(map(cpu_seconds, each)) for each in groups]

            before = sum(map(resident, owner + serving))
            client.stdin.write(f"{template.head.hex()}\n{template.tail.hex()}".encode())
            client.stdin.close()
            client.stdout.readline()
            client.stdout.readline()  # all are open
            grown, first = sum(map(resident, owner + serving)) - before, cpu()
            client.stdout.readline()
            owner_cores, worker_cores, load_cores = (
                (now - then) / window for now, then in zip(cpu(), first, strict=True)
            )
            result = json.loads(client.stdout.read())
    median, late = result["late"]
    return Used(owner_cores, worker_cores, load_cores, grown / STREAMS, result["per_second"], (median, late))
