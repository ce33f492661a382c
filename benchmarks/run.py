"""Prints one table of how fast fakellm is, beside other servers.

``python benchmarks/run.py [names...] [--seconds S] [--rounds N] [--soak STREAMS]``. README.md in this folder describes
each benchmark and column.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import servers
from benchmarks.apis import apis
from benchmarks.capacity import capacity
from benchmarks.dialects import dialects
from benchmarks.fuzzing import fuzzing
from benchmarks.load import WRK
from benchmarks.matching import matching
from benchmarks.paced import paced
from benchmarks.prompt import long_prompt
from benchmarks.redis_state import redis
from benchmarks.replicas import replicas
from benchmarks.soak import soak
from benchmarks.stalled import stalled
from benchmarks.start import rules, start
from benchmarks.table import Line, head, row
from benchmarks.throughput import cached, generated, not_streamed, scripted_streams
from benchmarks.workers import workers

Benchmark = Callable[[float, int], Iterator[Line]]
"""Measures for so many seconds a round, in so many rounds."""

BENCHMARKS: dict[str, Benchmark] = {
    "cached": cached,
    "scripted": scripted_streams,
    "generated": generated,
    "not-streamed": not_streamed,
    "workers": workers,
    "redis": redis,
    "replicas": replicas,
    "dialects": dialects,
    "apis": apis,
    "paced": paced,
    "capacity": capacity,
    "stalled": stalled,
    "start": start,
    "rules": rules,
    "prompt": long_prompt,
    "matching": matching,
    "fuzzing": fuzzing,
}


def machine() -> str:
    """What was measured with what, in one line each."""
    peers = ", ".join(f"{name} {number}" for name, number in servers.versions().items())
    ours = ", ".join(f"{name} {version(name)}" for name in ("fakellm-server", "aiohttp", "msgspec"))
    client = "wrk" if WRK else "the client of this folder"
    return (
        f"{os.cpu_count()} cores, {platform.system()}, {platform.python_implementation()} {platform.python_version()}\n"
        f"{ours}; {peers}; load from {client}"
    )


def main() -> None:
    names = [*BENCHMARKS, "soak"]
    parser = argparse.ArgumentParser(description="Prints one table of how fast fakellm is, beside other servers.")
    parser.add_argument("names", nargs="*", metavar="names", help=f"by default all: {names}")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a server is loaded in a round")
    parser.add_argument("--rounds", type=int, default=5, help="how often all servers are measured in turn")
    parser.add_argument("--soak", type=int, default=100_000, help="the streams of the soak")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    benchmarks: dict[str, Benchmark] = {**BENCHMARKS, "soak": lambda seconds, rounds: soak(options.soak)}
    print(machine(), end="\n\n")
    print(head(), flush=True)
    for name in options.names or names:
        for line in benchmarks[name](options.seconds, options.rounds):
            print(row(line.cells()), flush=True)


if __name__ == "__main__":
    main()
