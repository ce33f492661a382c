"""Each API against chat: a fixed text, and a generated one, for requests that all differ, streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import count, islice
from statistics import mean, median

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
    """One server for fixed texts and one for generated ones, each asked in every API and in chat in turn; they are
    compared by its CPU time."""
    fixed = scripted(text(WORDS), stream={"split": "tokens"})
    for scenario, kind in ((fixed, ""), (None, ", generated")):
        with servers.ours(scenario, strict=scenario is not None) as server:
            chat, chats = question(stream=True), list[float]()
            lines = []
            for name, path in PATHS.items():
                asked = template(_body(name), path, ("anthropic-version: 2023-06-01",))
                pairs = [(_cpu(server, chat), _cpu(server, asked)) for _ in range(min(rounds, 3) + 1)][1:]
                chats += [cpu for cpu, _ in pairs]
                ratio = median(theirs / ours for ours, theirs in pairs)
                lines.append(_line(name + kind, median(theirs for _, theirs in pairs), _frames(server, asked), ratio))
            yield _line("chat" + kind, median(chats), _frames(server, chat), 1.0)
            yield from lines


def _line(subject: str, cpu: float, frames: int, ratio: float) -> Line:
    result = f"{cpu * 1000:.2f} ms of CPU for {frames} frames"
    return Line("apis", subject, result, ratio=ratio, cpu=cpu / frames * 1e6)


def _frames(server: Server, asked: Template) -> int:
    """How many frames a stream has: of generated text, the mean of some."""
    return round(mean(len(servers.reply(server, asked, number)) for number in range(20)))


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
