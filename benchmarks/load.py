"""Loads a server from a process of its own: with `wrk` where it is installed, otherwise with the client of this folder.

Both keep the same number of connections, each with one request at a time, so the latencies are those of a full queue.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.client import CONNECTIONS
from benchmarks.workloads import DIGITS, ROOT, Template

WRK = shutil.which("wrk")

_SCRIPT = """\
local head, tail, number = {head}, {tail}, {first}
request = function()
  if tail == "" then return head end
  number = number + 1
  return head .. string.format("%0{digits}d", number) .. tail
end
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("\\nRESULT %d %d %d %d %d\\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Rate:
    """What a server did under load. Latencies are in milliseconds."""

    requests: int
    per_second: float
    p50: float
    p99: float


def load(port: int, template: Template, seconds: float, first: int) -> Rate:
    """Loads a server for some seconds; requests are numbered from `first` on. Raises RuntimeError if any failed."""
    return _wrk(WRK, port, template, seconds, first) if WRK else _client(port, template, seconds, first)


def _wrk(wrk: str, port: int, template: Template, seconds: float, first: int) -> Rate:
    head, tail = _lua(template.head), _lua(template.tail)
    with TemporaryDirectory() as folder:
        script = Path(folder, "requests.lua")
        script.write_text(_SCRIPT.format(head=head, tail=tail, first=first, digits=DIGITS), encoding="ascii")
        duration = f"{max(1, round(seconds))}s"
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{duration}", "-s", str(script), f"http://127.0.0.1:{port}/"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in ran.stdout.splitlines() if line.startswith("RESULT"))
    requests, duration_us, failed, p50, p99 = map(int, line.split()[1:])
    if failed:
        raise RuntimeError(f"{failed} requests failed: {ran.stdout}")
    return Rate(requests, requests / duration_us * 1e6, p50 / 1000, p99 / 1000)


def _lua(content: bytes) -> str:
    return '"' + "".join(f"\\{byte:03}" for byte in content) + '"'


def _client(port: int, template: Template, seconds: float, first: int) -> Rate:
    command = [sys.executable, "-m", "benchmarks.client", str(port), str(seconds), str(first)]
    lines = f"{template.head.hex()}\n{template.tail.hex()}"
    ran = subprocess.run(command, cwd=ROOT, input=lines.encode(), capture_output=True, check=True)
    latencies = msgspec.json.decode(ran.stdout, type=list[float])
    p50, p99 = percentiles([each * 1000 for each in latencies])
    return Rate(len(latencies), len(latencies) / seconds, p50, p99)


def percentiles(values: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile; infinite if hardly anything was measured, as when a server hangs."""
    if len(values) < 2:
        return float("inf"), float("inf")
    cuts = quantiles(values, n=100)
    return cuts[49], cuts[98]
