"""Two servers that share their state in one Redis, beside one of them alone: a rule that counts each request.

The load is split over both, as a load balancer would. It needs CPU time too, and so does Redis: how much is part of the
result.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import fakellm
from benchmarks.load import Rate, load
from benchmarks.processes import cpu_seconds, peak, settle
from benchmarks.servers import Server, reply
from benchmarks.table import Line, missing
from benchmarks.workloads import Template, question, scripted, text

WORDS = 40
APART = 10_000_000
"""Between the numbers of the first requests of two loads: so many that no request comes twice."""
SOCKET = "redis.sock"
COUNTING = scripted(text(WORDS) + " {{attempt}}")
COUNTING["rules"][0]["reply"]["template"] = True


def replicas(seconds: float, rounds: int) -> Iterator[Line]:
    """The lines of one server and of two, each measured once in each round. Ratio: of streams per second."""
    program = shutil.which("redis-server")
    if program is None:
        yield missing("replicas", "redis-server")
        return
    template = question(stream=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        redis = stack.enter_context(redis_process(program, folder))
        two = [stack.enter_context(sharing(COUNTING, folder)) for _ in range(2)]
        frames = len(reply(two[0], template))
        measured = [_Measured(two[:1], redis), _Measured(two, redis)]
        for each in measured:
            each.load(template, min(seconds, 1.0), 0)  # not counted: it loads and compiles
        for number in range(rounds):
            for place, each in enumerate(measured):
                each.run(template, seconds, (4 * number + 2 * place + 2) * APART)
        one, both = measured
        ratio = median(more / fewer for more, fewer in zip(both.rates, one.rates, strict=True))
        yield one.line("fakellm --state redis://", frames, None)
        yield both.line("two of them", frames, ratio)


class _Measured:
    """What was measured of servers that are loaded at the same time: one rate of all of them for each round."""

    def __init__(self, servers: Sequence[Server], redis: int) -> None:
        self._servers = servers
        self._redis = redis
        self.rates: list[float] = []
        self._latencies: list[tuple[float, float]] = []
        self._cpu = self._redis_cores = 0.0
        self._streams = 0

    def load(self, template: Template, seconds: float, first: int) -> list[Rate]:
        """Loads each of the servers with requests of its own."""
        firsts = range(first, first + len(self._servers) * APART, APART)
        with ThreadPoolExecutor() as pool:
            pairs = zip(self._servers, firsts, strict=True)
            return [*pool.map(lambda pair: load(pair[0].port, template, seconds, pair[1]), pairs)]

    def run(self, template: Template, seconds: float, first: int) -> None:
        """Measures one round."""
        pids = [server.pid for server in self._servers]
        start, before, redis = perf_counter(), sum(map(cpu_seconds, pids)), cpu_seconds(self._redis)
        rates = self.load(template, seconds, first)
        self._redis_cores += (cpu_seconds(self._redis) - redis) / (perf_counter() - start)
        self._cpu += sum(map(cpu_seconds, pids)) - before
        for pid in pids:
            settle(pid)
        self.rates.append(sum(rate.per_second for rate in rates))
        self._latencies += [(rate.p50, rate.p99) for rate in rates]
        self._streams += sum(rate.requests for rate in rates)

    def line(self, name: str, frames: int, ratio: float | None) -> Line:
        redis = f"Redis took {self._redis_cores / len(self.rates):.2f} of a core"
        result = f"{median(self.rates):,.0f}/s of {frames} frames; {redis}"
        p50, p99 = (median(values) for values in zip(*self._latencies, strict=True))
        most = sum(peak(server.pid) for server in self._servers)
        cpu = self._cpu / (self._streams * frames) * 1e6
        return Line("replicas", name, result, p50, p99, ratio, cpu=cpu, peak=most)


@contextmanager
def redis_process(program: str, folder: Path) -> Iterator[int]:
    """The process of a Redis that listens at a socket in the folder."""
    command = [program, "--port", "0", "--unixsocket", str(folder / SOCKET), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            if not any("eady to accept connections" in line for line in process.stdout):
                raise RuntimeError("Redis does not start")
            yield process.pid
        finally:
            process.terminate()


@contextmanager
def sharing(scenario: dict[str, Any], folder: Path, name: str = "fakellm") -> Iterator[Server]:
    """A server with the state in that Redis."""
    file = folder / "scenario.yaml"
    file.write_text(fakellm.dump(fakellm.load(scenario)), encoding="utf-8")
    options = ["--strict", "--port", "0", "--ready", "json", "--watch-stdin", "--quiet"]
    command = [sys.executable, "-m", "fakellm", "serve", str(file), "--state", f"unix://{folder / SOCKET}", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            url = json.loads(process.stdout.readline())["url"]
            yield Server(name, int(url.rpartition(":")[2]), process.pid)
        finally:
            process.stdin.close()
