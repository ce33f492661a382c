"""What it costs to share the state in Redis: a rule that counts, and quotas, each in a server alone and in one with
Redis."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import servers
from benchmarks.load import load
from benchmarks.replicas import redis_process, sharing
from benchmarks.table import Line, missing
from benchmarks.throughput import Measured
from benchmarks.workloads import question, scripted, text

WORDS = 40
_NEVER = {"kind": "status", "status": 500, "times": {"count": 1, "by": "session"}, "after": 10**9}
COUNTING: dict[str, Any] = scripted(text(WORDS), fault=_NEVER)
"""Counts each request, and answers all alike."""
LIMITED: dict[str, Any] = {**scripted(text(WORDS)), "limits": [{"per_day": {"requests": 10**9, "tokens": 10**12}}]}


def redis(seconds: float, rounds: int) -> Iterator[Line]:
    """The lines of servers with and without Redis, each measured once in each round. Ratio: of streams per second, to
    that without Redis."""
    program = shutil.which("redis-server")
    if program is None:
        yield missing("redis", "redis-server")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        stack.enter_context(redis_process(program, folder))
        for name, scenario in (("a rule that counts", COUNTING), ("quotas", LIMITED)):
            yield from _compared(name, scenario, folder, seconds, rounds)


def _compared(name: str, scenario: dict[str, Any], folder: Path, seconds: float, rounds: int) -> Iterator[Line]:
    template = question(stream=True)
    shared = sharing(scenario, folder, f"{name}, in Redis")
    with servers.ours(scenario, name, strict=True) as alone, shared as other:
        frames = len(servers.reply(alone, template))
        measured = [Measured(each, frames) for each in (alone, other)]
        for each in measured:
            load(each.server.port, template, min(seconds, 1.0), 500_000_000)  # not counted: it loads and compiles
        first = 1_000
        for _ in range(rounds):
            first = max(each.run(template, seconds, first) for each in measured)
        without, within = measured
        pairs = zip(within.rates, without.rates, strict=True)
        yield without.line("redis", 1.0, None)
        yield within.line("redis", median(fewer.per_second / more.per_second for fewer, more in pairs), None)
