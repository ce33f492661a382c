"""What one paced stream costs a server of one process and of several, for docs/reference/capacity.md."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
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


def capacity(seconds: float, rounds: int) -> Iterator[Line]:
    """A window of five times `seconds` for each number of workers, once."""
    allow_sockets(STREAMS + 200)
    scenario = scripted(text(WORDS), timing={"first": GAP, "gap": GAP})
    for workers in WORKERS:
        with servers.ours(scenario, f"--workers {workers}", strict=True, workers=workers) as server:
            pids = [server.pid, *children(server.pid)]
            template = question(stream=True)
            servers.reply(server, template, 999_999_999)  # loads what the first stream needs
            arguments = [server.port, STREAMS, GAP, WORDS * GAP, seconds * 5]
            command = [sys.executable, "-m", "benchmarks.paced_client", *map(str, arguments)]
            with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
                assert client.stdin
                assert client.stdout
                before = sum(map(resident, pids))
                client.stdin.write(f"{template.head.hex()}\n{template.tail.hex()}".encode())
                client.stdin.close()
                client.stdout.readline()
                client.stdout.readline()  # all are open
                grown = sum(map(resident, pids)) - before
                cpu, load = sum(map(cpu_seconds, pids)), cpu_seconds(client.pid)
                client.stdout.readline()
                cpu, load = sum(map(cpu_seconds, pids)) - cpu, cpu_seconds(client.pid) - load
                result = json.loads(client.stdout.read())
        window = seconds * 5
        cores = f"{cpu / window:.2f} of {cpu_count()} cores, {load / window:.2f} for the load"
        memory = f"{grown / STREAMS / 1024:.0f} KiB a stream"
        shown = f"{STREAMS:,} streams of {1 / GAP:.0f} frames/s: {cores}, {memory}, late by"
        yield Line("capacity", server.name, shown, *result["late"])
