"""Each API against chat: a fixed text for requests that all differ, streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import count, islice
from statistics import median

from benchmarks import servers
from benchmarks.client import CONNECTIONS, drive
from benchmarks.processes import cpu_seconds
from benchmarks.servers import Server
from benchmarks.table import Line
from benchmarks.throughput import WORDS
from benchmarks.workloads import NONCE, Template, question, scripted, template, text
from fakellm.apis.route import api_named

PATHS = {
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
}
REQUESTS = 1_000
"""In each round. CPU time is counted in hundredths of a second."""

_NUMBERS = count(1_000)


def apis(seconds: float, rounds: int) -> Iterator[Line]:
    """One server, which is asked in each API and in chat in turn; they are compared by its CPU time."""
    rule = scripted(text(WORDS), stream={"split": "tokens"})
    with servers.ours(rule, strict=True) as server:
        for name, path in PATHS.items():
            asked = template(_body(name), path, ("anthropic-version: 2023-06-01",))
            frames = len(servers.reply(server, asked))
            pairs = [(_cpu(server, question(stream=True)), _cpu(server, asked)) for _ in range(min(rounds, 3) + 1)][1:]
            ratio = median(theirs / chat for chat, theirs in pairs)
            cpu = median(theirs for _, theirs in pairs)
            yield Line(
                "apis", name, f"{cpu * 1000:.2f} ms of CPU for {frames} frames", ratio=ratio, cpu=cpu / frames * 1e6
            )


def _body(name: str) -> dict[str, object]:
    """The API's example of a request, in which the user asks a numbered question."""
    asked = json.dumps(api_named(name).example()).replace('"Hello"', f'"Question {NONCE}"')
    found: dict[str, object] = json.loads(asked)
    return found


def _cpu(server: Server, asked: Template) -> float:
    """CPU seconds of the server for one of many streams, none of which came before."""
    before = cpu_seconds(server.pid)
    requests = iter([*map(asked.request, islice(_NUMBERS, REQUESTS)), *[None] * CONNECTIONS])
    assert len(asyncio.run(drive(server.port, requests.__next__))) == REQUESTS
    return (cpu_seconds(server.pid) - before) / REQUESTS
