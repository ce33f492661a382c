"""Two workers on one port, beside one process: generated replies to requests that all differ.

The load itself needs CPU time, of which a machine with two cores has none to spare: how much is part of the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from benchmarks import servers
from benchmarks.load import Rate, load
from benchmarks.processes import cpu_seconds, family, peak, settle
from benchmarks.servers import Server
from benchmarks.table import Line
from benchmarks.workloads import Template, question

WORKERS = 2
TARGET = 1.6
"""Times as many streams per second as one process."""


class _Measured:
    """What was measured of a server of one or several processes: one rate for each round."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.rates: list[Rate] = []
        self.cpu = 0.0
        self.load_shares: list[float] = []
        """Of the CPU time that all cores had in a round, how much the load took."""

    @property
    def pids(self) -> list[int]:
        return family(self.server.pid)

    def run(self, template: Template, seconds: float, first: int) -> int:
        """Measures one round. Returns the number of the next request."""
        before, load_before = sum(map(cpu_seconds, self.pids)), os.times()
        rate = load(self.server.port, template, seconds, first)
        now = os.times()
        used = now.children_user + now.children_system - load_before.children_user - load_before.children_system
        self.load_shares.append(used / (now.elapsed - load_before.elapsed) / (os.cpu_count() or 1))
        self.cpu += sum(map(cpu_seconds, self.pids)) - before
        for pid in self.pids:
            settle(pid)
        self.rates.append(rate)
        return first + rate.requests + 100

    def line(self, frames: float, ratio: float | None, target: tuple[str, float] | None) -> Line:
        per_second, p50, p99 = (
            median(getattr(rate, name) for rate in self.rates) for name in ("per_second", "p50", "p99")
        )
        share = median(self.load_shares)
        result = f"{per_second:,.0f}/s of {frames:.0f} frames; the load took {share:.0%} of all cores"
        cpu = self.cpu / (sum(rate.requests for rate in self.rates) * frames) * 1e6
        most = sum(map(peak, self.pids))
        return Line("workers", self.server.name, result, p50, p99, ratio, target, cpu=cpu, peak=most)


def workers(seconds: float, rounds: int) -> Iterator[Line]:
    """The lines of one process and of WORKERS workers, each measured once in each round."""
    template = question(stream=True, max_tokens=128)
    with ExitStack() as stack:
        one = _Measured(stack.enter_context(servers.ours(None)))
        several = _Measured(stack.enter_context(servers.ours(None, f"fakellm --workers {WORKERS}", workers=WORKERS)))
        frames = sum(len(servers.reply(one.server, template, number)) for number in range(50)) / 50
        first = 1_000
        for each in (one, several):
            load(each.server.port, template, min(seconds, 1.0), 500_000_000)  # not counted: it loads and compiles
        for _ in range(rounds):
            first = max(each.run(template, seconds, first) for each in (one, several))
        pairs = zip(several.rates, one.rates, strict=True)
        yield one.line(frames, None, None)
        yield several.line(frames, median(more.per_second / fewer.per_second for more, fewer in pairs), (">=", TARGET))
