"""How many cases a second fuzzing tries, with a trivial client in the same process and with the official OpenAI SDK.

``python benchmarks/fuzzing.py [cases]``. A case is a draw, a stream that is rendered and served, a client that reads it
and a verdict. Measured by the wall clock, and by the processor's: on a machine that is busy only the second tells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit

import openai

from fakellm.fuzzing.clients.client_function import Client, Function
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search

JSON = dict[str, Any]


class Trivial:
    """Reads the whole body and takes the lines that say `data:`; so it sees no framing but the plain one."""

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
                    text += choice["delta"].get("content") or "" if choice["index"] == 0 else ""
        return {"content": text}


class Official:
    """The official SDK, used as its users do."""

    def __init__(self) -> None:
        self._client: openai.OpenAI | None = None

    def __call__(self, base_url: str, request: JSON) -> JSON:
        self._client = self._client or openai.OpenAI(base_url=base_url, api_key="any", max_retries=0)
        text, finish = "", None
        chunks: Any = self._client.chat.completions.create(**request)
        for chunk in chunks:
            for choice in chunk.choices:
                if choice.index == 0:
                    text += choice.delta.content or ""
                    finish = choice.finish_reason or finish
        return {"content": text, "finish_reason": finish}


def cases_per_second(make: Callable[[], Client], cases: int, exclude: tuple[str, ...] = ()) -> tuple[float, float]:
    """By the wall clock and by the processor's. The first few are left out: they load what the rest uses."""
    run(Function(make()), Search(examples=300, exclude=exclude))
    wall, cpu = perf_counter(), process_time()
    outcome = run(Function(make()), Search(examples=cases, seed=1, exclude=exclude))
    assert outcome.cases == cases, outcome.failures
    return cases / (perf_counter() - wall), cases / (process_time() - cpu)


def main(cases: int) -> None:
    clients: tuple[tuple[str, Callable[[], Client], tuple[str, ...]], ...] = (
        ("trivial client", Trivial, ("sse", "transfer.gzip")),
        ("openai SDK", Official, ()),
    )
    for name, make, exclude in clients:
        wall, cpu = cases_per_second(make, cases, exclude)
        print(f"{name:16}{wall:8.0f} cases/s by the wall clock{cpu:8.0f} by the processor's")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
