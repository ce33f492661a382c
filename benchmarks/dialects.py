"""The slowest dialect against `openai`: a fixed text for requests that all differ, in each dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count, islice
from statistics import median

from benchmarks import servers
from benchmarks.client import CONNECTIONS, drive
from benchmarks.processes import cpu_seconds
from benchmarks.servers import Server
from benchmarks.table import Line
from benchmarks.throughput import WORDS
from benchmarks.workloads import question, scripted, text
from fakellm.apis.chat.providers import DIALECTS

REQUESTS = 1_000
"""In each round. CPU time is counted in hundredths of a second."""

_NUMBERS = count(1_000)


def dialects(seconds: float, rounds: int) -> Iterator[Line]:
    """One server at a time, beside one with the `openai` dialect.

    They are compared by the CPU time of a fixed number of streams: with so many short rounds, streams per second differ
    more by what else the machine does.
    """
    content = text(WORDS)
    measured: dict[str, tuple[float, float, int]] = {}
    with servers.ours(scripted(content), strict=True) as usual:
        for name in DIALECTS:
            with servers.ours(scripted(content, name), strict=True) as server:
                frames = len(servers.reply(server, question(stream=True)))
                pairs = [(_cpu(usual), _cpu(server)) for _ in range(min(rounds, 3) + 1)][
                    1:
                ]  # the first one loads and compiles
                ratio = median(theirs / plain for plain, theirs in pairs)
                measured[name] = (ratio, median(theirs for _, theirs in pairs), frames)
    order = sorted(measured, key=measured.__getitem__)
    for name, place in ((order[0], "fastest"), (order[len(order) // 2], "median"), (order[-1], "slowest")):
        ratio, cpu, frames = measured[name]
        target = ("<=", 3.0) if place == "slowest" else None
        subject, result = f"{name} ({place} of {len(order)})", f"{cpu * 1000:.2f} ms of CPU for {frames} frames"
        yield Line("dialects", subject, result, ratio=ratio, target=target, cpu=cpu / frames * 1e6)


def _cpu(server: Server) -> float:
    """CPU seconds of the server for one of many streams, none of which came before."""
    template, before = question(stream=True), cpu_seconds(server.pid)
    requests = iter([*map(template.request, islice(_NUMBERS, REQUESTS)), *[None] * CONNECTIONS])
    assert len(asyncio.run(drive(server.port, requests.__next__))) == REQUESTS
    return (cpu_seconds(server.pid) - before) / REQUESTS
