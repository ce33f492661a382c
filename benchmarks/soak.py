"""Whether memory stays bounded: many distinct streams with attempts, sessions and faults, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from benchmarks import servers
from benchmarks.client import drive
from benchmarks.processes import peak, resident
from benchmarks.table import Line
from benchmarks.workloads import Template, template, text

FIRST = 10_000
LIMIT = 1.10
SESSIONS = 500
_RULES: list[dict[str, Any]] = [
    {"when": {"model": "retried"}, "fault": {"kind": "status", "status": 500, "times": 1}},
    {"when": {"model": "cut"}, "fault": {"kind": "truncated"}},
    {"when": {"model": "closed"}, "fault": {"kind": "close", "frame": 3}},
    {},
]
SCENARIO = {"rules": [{**rule, "reply": {"content": text(20)}} for rule in _RULES]}


def soak(streams: int) -> Iterator[Line]:
    """The resident memory at the end, against that after the first 10,000 streams."""
    with servers.ours(SCENARIO, strict=True) as server:
        readings = []
        for numbers in (range(min(FIRST, streams)), range(min(FIRST, streams), streams)):
            asyncio.run(drive(server.port, requests(numbers).__next__))
            readings.append(resident(server.pid))
        most = peak(server.pid)
    first, last = readings
    result = f"{first / 2**20:.1f} MB after {min(FIRST, streams):,} streams, {last / 2**20:.1f} MB after {streams:,}"
    yield Line("soak", "fakellm", result, ratio=last / first, target=("<=", LIMIT), peak=most)


def requests(numbers: range) -> Iterator[bytes | None]:
    """A request that is retried, one whose stream breaks off, one that is plain and one in another session, in turn."""
    kinds = [_template(model) for model in ("retried", "cut", "closed", "plain")]
    sessions = [_template("plain", f"/s/session-{number}/v1/chat/completions") for number in range(SESSIONS)]
    for number in numbers:
        turn, place = number % 5, number // 5
        kind = kinds[turn] if turn < 4 else sessions[place % SESSIONS]
        yield kind.request(number)
        if turn == 0:
            yield kind.request(number)  # the retry
    while True:
        yield None


def _template(model: str, path: str = "/v1/chat/completions") -> Template:
    messages = [{"role": "user", "content": "Question #########"}]
    return template({"model": model, "stream": True, "messages": messages}, path)
