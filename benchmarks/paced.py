"""How late paced frames are at the client, and what many paced streams cost, over real sockets.

Many connections are open at once. Each has one stream after the other, and every stream is a first request, so the
server also renders new streams all the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from math import isfinite

from benchmarks import servers
from benchmarks.processes import allow_sockets, cpu_seconds, family, peak, resident
from benchmarks.servers import Server
from benchmarks.table import Line, missing
from benchmarks.throughput import OTHERS
from benchmarks.workloads import ROOT, even_text, question, scripted, text

STREAMS = (200, 2_000)
"""The last number has the targets; the first shows how a server does that cannot carry so many."""

GAP = 0.04
WORDS = 240
"""Of each stream: with its other frames, it takes about ten seconds."""

LIMIT_MS, LIMIT_KIB = 25.0, 40.0

WORKERS = 2
WARM = 20
"""Streams that are started before: so many that each worker gets one of them."""


def paced(seconds: float, rounds: int) -> Iterator[Line]:
    """One round of all streams, then a window of five times `seconds`, once for each server."""
    allow_sockets(STREAMS[-1] + 200)
    scenario = scripted(text(WORDS), timing={"first": GAP, "gap": GAP})
    with servers.ours(scenario, strict=True) as plain:
        frames = servers.reply(plain, question(stream=True))
    sleeping = "static aiohttp, asyncio.sleep per frame"
    for streams in STREAMS:
        limits = (LIMIT_MS, LIMIT_KIB) if streams == STREAMS[-1] else None
        yield from _measured(servers.ours(scenario, strict=True), "fakellm", streams, seconds, limits)
        if streams == STREAMS[-1]:
            name = f"fakellm --workers {WORKERS}"
            yield from _measured(
                servers.ours(scenario, name, strict=True, workers=WORKERS), name, streams, seconds, limits
            )
        yield from _measured(servers.static(frames, "paced", sleeping, GAP), sleeping, streams, seconds)
        yield from _measured(servers.aimock(even_text(len(frames) - OTHERS), GAP), "aimock", streams, seconds)


def _measured(
    starting: AbstractContextManager[Server | None],
    name: str,
    streams: int,
    seconds: float,
    limits: tuple[float, float] | None = None,
) -> Iterator[Line]:
    template, subject = question(stream=True), f"{name}, {streams:,} streams"
    with starting as server:
        if server is None:
            yield missing("paced", subject)
            return
        pids = family(server.pid)
        for number in range(WARM):  # each process loads what its first stream needs
            servers.begin(server, template, 999_999_000 + number).close()
        ramp = WORDS * GAP
        arguments = [server.port, streams, GAP, ramp, seconds * 5]
        command = [sys.executable, "-m", "benchmarks.paced_client", *map(str, arguments)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            assert client.stdin
            assert client.stdout
            before = sum(map(resident, pids))
            client.stdin.write(f"{template.head.hex()}\n{template.tail.hex()}".encode())
            client.stdin.close()
            _expect(client.stdout.readline(), b"open")
            _expect(client.stdout.readline(), b"all")
            grown, cpu = sum(map(resident, pids)) - before, sum(map(cpu_seconds, pids))
            _expect(client.stdout.readline(), b"end")
            cpu = sum(map(cpu_seconds, pids)) - cpu
            result = json.loads(client.stdout.read())
        most = sum(map(peak, pids))
    late, turns, expected = result["late"], result["turns"], streams / GAP
    per_second = result["per_second"]
    yield Line(
        "paced",
        subject,
        f"{per_second:,.0f} of {expected:,.0f} frames/s late by",
        late[0],
        late[1],
        ratio=per_second / expected,
        target=("<=", limits[0]) if limits else None,
        checked=late[1],
        cpu=cpu / max(result["frames"], 1) * 1e6,
        peak=most,
    )
    drift = f"drift of a stream {result['drift']:.2f} ms" if isfinite(result["drift"]) else "no stream ended"
    yield Line("paced", subject, f"{drift}; the client's turns", turns[0], turns[1])
    kib = grown / streams / 1024
    target = ("<=", limits[1]) if limits else None
    yield Line("paced", subject, f"{kib:.1f} KiB a stream", target=target, checked=kib)


def _expect(line: bytes, word: bytes) -> None:
    if line.strip() != word:
        raise RuntimeError(f"the client ended: expected {word!r}, got {line!r}")
