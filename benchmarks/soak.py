"""Whether memory stays bounded: many distinct streams with attempts, sessions and faults, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from benchmarks import servers
from benchmarks.client import drive
from benchmarks.processes import family, peak, resident
from benchmarks.table import Line
from benchmarks.workloads import template

FIRST = 10_000
LIMIT = 1.10
WORKERS = (1, 2)
_RULES: list[dict[str, Any]] = [
    {
        "when": {"user": "retry"},
        "reply": {"content": "It worked in the end."},
        "fault": {"kind": "status", "status": 500, "times": 1},
    },
    {"when": {"user": "cut"}, "reply": {"content": "One two three"}, "fault": {"kind": "truncated", "frame": 2}},
    {"when": {"user": "closed"}, "reply": {"content": "One two three"}, "fault": {"kind": "close", "frame": 2}},
    {"when": {"user": "turns"}, "reply": {"content": "First"}, "then": [{"reply": {"content": "Second"}}]},
    {"when": {"user": "call"}, "reply": {"tool_calls": [{"name": "add", "arguments": {"a": 1}}]}},
    {"when": {"user": "say"}, "reply": {"content": "You said {{user}}", "template": True}},
    {"when": {"user": "generate"}, "reply": {"generate": {}}},
]
SCENARIO = {"rules": _RULES}
KINDS = ("retry", "retry", "cut", "closed", "turns", "call", "say", "say", "generate", "generate")
"""The words in the prompts, in turn."""


def soak(streams: int) -> Iterator[Line]:
    """The resident memory of all processes of a server at the end, against that after the first 10,000 streams of each
    worker."""
    for workers in WORKERS:
        first = min(FIRST * workers, streams)
        with servers.ours(SCENARIO, f"fakellm --workers {workers}", strict=True, workers=workers) as server:
            pids, readings = family(server.pid), []
            for numbers in (range(first), range(first, streams)):
                asyncio.run(drive(server.port, requests(numbers).__next__))
                readings.append(sum(map(resident, pids)))
            most = sum(map(peak, pids))
        before, after = readings
        result = f"{before / 2**20:.1f} MB after {first:,} streams, {after / 2**20:.1f} MB after {streams:,}"
        yield Line("soak", server.name, result, ratio=after / before, target=("<=", LIMIT), peak=most)


def requests(numbers: range) -> Iterator[bytes | None]:
    """Streams that no other number has, every tenth in a session of its own; then None. Where a second attempt differs
    from the first, both are sent."""
    for number in numbers:
        kind = KINDS[number % 10]
        message = _request(kind, number)
        yield message
        if kind in ("retry", "turns"):
            yield message
    while True:
        yield None


def _request(kind: str, number: int) -> bytes:
    path = f"/s/test-{number}/v1/chat/completions" if number % 10 == 0 else "/v1/chat/completions"
    prompt = f"{kind} {number} {'please ' * (number % 50)}"
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    body = {"model": "gpt-5-mini", "stream": True, "max_tokens": 40, "messages": messages}
    return template(body, path).request(number)
