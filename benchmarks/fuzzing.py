"""How many cases per second the fuzzer tries, with a trivial client in this process and with the official OpenAI SDK.

A case is drawn, rendered and served; a client reads it, and its result is
judged. The rate is per second of wall-clock time and per second of processor time; on a busy machine, only the second
is meaningful.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit

import openai

from benchmarks.table import Line
from fakellm.fuzzing.clients.client_function import ClientFunction, FunctionClient
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search

JSON = dict[str, Any]


class Trivial:
    """Reads the whole body and its `data:` lines, so it reads only plain framing."""

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None

    def __call__(self, base_url: str, request: JSON) -> JSON:
        address = urlsplit(base_url)
        self._connection = self._connection or HTTPConnection(address.hostname or "", address.port)
        self._connection.request("POST", address.path + "/chat/completions", json.dumps(request))
        body = self._connection.getresponse().read().decode()
        text = ""
        for line in body.split("\n"):
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    delta = choice.get("delta") or {}  # some providers leave it out
                    text += delta.get("content") or "" if choice["index"] == 0 else ""
        return {"content": text}


class Official:
    """The official SDK, used as its users use it."""

    def __init__(self) -> None:
        self._client: openai.OpenAI | None = None

    def __call__(self, base_url: str, request: JSON) -> JSON:
        self._client = self._client or openai.OpenAI(base_url=base_url, api_key="any", max_retries=0)
        text, finish = "", None
        chunks: Any = self._client.chat.completions.create(**request)
        for chunk in chunks:
            for choice in chunk.choices:
                if choice.index == 0:
                    text += (choice.delta and choice.delta.content) or ""  # some providers leave it out
                    finish = choice.finish_reason or finish
        return {"content": text, "finish_reason": finish}


def cases_per_second(
    make: Callable[[], ClientFunction], cases: int, exclude: tuple[str, ...] = ()
) -> tuple[float, float]:
    """By wall-clock time and by processor time. A first run is not counted, since it loads what the second one uses."""
    run(FunctionClient(make()), Search(examples=300, exclude=exclude))
    wall, cpu = perf_counter(), process_time()
    outcome = run(FunctionClient(make()), Search(examples=cases, seed=1, exclude=exclude))
    assert outcome.cases == cases, outcome.failures
    return cases / (perf_counter() - wall), cases / (process_time() - cpu)


def fuzzing(seconds: float, rounds: int) -> Iterator[Line]:
    """Measured once, with 500 cases for each of `seconds`."""
    clients: tuple[tuple[str, Callable[[], ClientFunction], tuple[str, ...]], ...] = (
        ("trivial client", Trivial, ("sse", "transfer.gzip")),
        ("openai SDK", Official, ()),
    )
    for name, make, exclude in clients:
        wall, cpu = cases_per_second(make, max(1, round(500 * seconds)), exclude)
        yield Line("fuzzing", name, f"{wall:,.0f} cases/s, {cpu:,.0f} per second of CPU")
