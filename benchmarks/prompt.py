"""What a long prompt costs, against `json.loads` of the same body: in this process, and over a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from statistics import median
from time import process_time

import fakellm
from benchmarks import servers
from benchmarks.client import drive
from benchmarks.processes import cpu_seconds
from benchmarks.table import Line
from benchmarks.workloads import Template, template
from fakellm.engine.response import Response
from fakellm.server.scenario_app import App, HttpRequest

SIZE = 1_000_000
_SENTENCE = "The quick brown fox, which is brown and quick, jumps over the “lazy” dog.\n"
_SCENARIO = {"rules": [{"reply": {"content": "Yes."}}]}
_PATH = "/v1/chat/completions"


def long_prompt(seconds: float, rounds: int) -> Iterator[Line]:
    """CPU time of first requests with a prompt of one megabyte."""
    prompt = "#########" + _SENTENCE * (SIZE // len(_SENTENCE))
    long = template({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": prompt}]})
    bodies = [long.request(number).partition(b"\r\n\r\n")[2] for number in range(10 * rounds + 1)]
    app = App(fakellm.load(_SCENARIO))
    app.offloads = False  # a server reads so long a body in another process, which does the same work

    def handle(body: bytes) -> None:
        outcome, _ = app.handle(HttpRequest("POST", _PATH, body))
        assert isinstance(outcome, Response)

    handle(bodies.pop())
    pairs = [(_cpu(json.loads, body), _cpu(handle, body)) for body in bodies]
    loads = median(pair[0] for pair in pairs)
    ratio = median(ours / theirs for theirs, ours in pairs)
    yield Line("long prompt", "json.loads", f"{loads * 1000:.2f} ms of CPU")
    handled = median(pair[1] for pair in pairs)
    yield Line("long prompt", "handled", f"{handled * 1000:.2f} ms of CPU", ratio=ratio, target=("<=", 3.0))
    served = _served(long, 100)
    yield Line("long prompt", "received and answered", f"{served * 1000:.2f} ms of CPU", ratio=served / loads)


def _cpu(do: Callable[[bytes], object], body: bytes) -> float:
    before = process_time()
    do(body)
    return process_time() - before


def _served(long: Template, count: int) -> float:
    """CPU seconds of a server for each request."""
    with servers.ours(_SCENARIO) as server:
        servers.reply(server, long, count)
        before = cpu_seconds(server.pid)
        requests = iter([*(long.request(number) for number in range(count)), None])
        asyncio.run(drive(server.port, requests.__next__, connections=1))
        return (cpu_seconds(server.pid) - before) / count
