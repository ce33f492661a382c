"""Memory stays bounded: whatever a server keeps, it keeps no more after ten times as many requests.

Each case runs in a process of its own, which handles requests without sockets and reports its resident memory twice:
after `n` steps, and after `10 * n`. `n` is large enough to fill the bounded stores (the journal keeps 10,000 entries),
so what is added between the two readings is a leak. The limits lie far above the noise of a reading (0.1 MB) and far
below what an unbounded store costs. Stores with a larger bound than `n` need a larger `n` here.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import fakellm
from fakellm.cli.beside import memory
from fakellm.engine.state import Limits, MemoryState
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import ROOT, chat

MB = 2**20
STATM = Path("/proc/self/statm")

pytestmark = pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from /proc")

Step = Callable[[int], None]
"""Handles the requests of the step with this number."""

RETRIED = {"rules": [{"reply": {"content": "Hi"}, "fault": {"kind": "status", "status": 500, "times": 1}}]}
THOUSAND_RULES = {
    "rules": [
        {"when": {"model": f"model-{number}", "user": f"*question {number}*"}, "reply": {"content": f"Answer {number}"}}
        for number in range(1_000)
    ]
}
LONG = {"rules": [{"reply": {"content": "word " * 40_000}}]}
"""A reply of 200 kB: 40,000 chunks, 11 MB on the wire, 30 MB as a value."""


def user(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Question {number}"}]


def poster(app: App) -> Callable[..., None]:
    """Sends one chat completion request to `app`, in the session at `prefix`."""

    def post(body: bytes, prefix: str = "") -> None:
        app.handle(HttpRequest("POST", f"{prefix}/v1/chat/completions", body))

    return post


def attempts() -> Step:
    """Distinct requests to a rule that counts the attempts of each; every one becomes a journal entry too."""
    post = poster(App(fakellm.load(RETRIED)))
    return lambda number: post(chat(messages=user(number)))


def schemas() -> Step:
    """Distinct schemas, tools and patterns, in a session that is reset after each twentieth request."""
    app = App(limits=Limits(cache_bytes=MB))  # the default holds more than `n` steps fill
    post = poster(app)

    def step(number: int) -> None:
        name = {"type": "string", "pattern": f"^[a-f]{{{number % 7 + 1}}}-{number}$"}
        schema = {"type": "object", "properties": {f"name{number}": name}, "required": [f"name{number}"]}
        json_schema = {"name": "answer", "schema": schema, "strict": False}
        post(chat(messages=user(number), response_format={"type": "json_schema", "json_schema": json_schema}))
        function = {"name": f"function{number}", "parameters": schema}
        post(chat(messages=user(number), tools=[{"type": "function", "function": function}], tool_choice="required"))
        if number % 20 == 0:
            app.handle(HttpRequest("POST", "/_fakellm/reset"))

    return step


def sessions() -> Step:
    """One request to each session."""
    post = poster(App())
    return lambda number: post(chat(), f"/s/session-{number}")


def sessions_of_many_rules() -> Step:
    """One request to each session of a scenario with a thousand rules."""
    post = poster(App(fakellm.load(THOUSAND_RULES)))
    return lambda number: post(chat(), f"/s/session-{number}")


def dense_entries() -> Step:
    """Journal entries whose parsed body takes over 20 times the memory of its text: 300 kB of empty lists."""
    post = poster(App(fakellm.load(RETRIED)))
    body = chat(extra=[[] for _ in range(100_000)])
    return lambda number: post(body.replace(b"Hello", b"Question %d" % number))


def long_texts() -> Step:
    """Models, tools and patterns whose names have a million characters."""
    post = poster(App(limits=Limits(cache_bytes=MB, journal_bytes=MB)))

    def step(number: int) -> None:
        long = f"{number}{'x' * MB}"
        post(chat(model=long, messages=user(number)))
        post(chat(tools=[{"type": "function", "function": {"name": long}}], tool_choice="required"))

    return step


CASES: dict[str, tuple[Callable[[], Step], int, int]] = {
    "attempts": (attempts, 10_000, 4 * MB),
    "schemas": (schemas, 200, 4 * MB),
    "sessions": (sessions, 1_000, 4 * MB),
    "sessions_of_many_rules": (sessions_of_many_rules, 20, 16 * MB),
    "long_texts": (long_texts, 3, 8 * MB),
    "dense_entries": (dense_entries, 7, 80 * MB),
}
"""By name: the requests, `n`, and by how many bytes the process may grow from `n` steps to `10 * n`."""


def resident() -> int:
    """Bytes of resident memory, after everything that can be freed has gone back to the system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps what it is given back
    if trim is not None:
        trim(0)
    return pages(STATM)


def pages(file: Path) -> int:
    return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(name: str) -> None:
    """The child process: prints its resident memory after `n` steps and after ten times as many."""
    make, n, _ = CASES[name]
    step = make()
    readings = []
    for numbers in (range(n), range(n, 10 * n)):
        for number in numbers:
            step(number)
        readings.append(resident())
    print(json.dumps(readings))


@pytest.mark.parametrize("name", CASES)
def test_ten_times_as_much_takes_no_more_memory(name: str) -> None:
    code = f"from tests.test_growth import measure; measure({name!r})"
    # What measures coverage in child processes keeps memory of its own for every piece of code that runs.
    env = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    first, last = json.loads(ran.stdout)
    _, n, limit = CASES[name]
    grown = last - first
    message = f"{n:,} steps: {first / MB:.1f} MB; {10 * n:,} steps: {last / MB:.1f} MB, {grown / (9 * n):,.0f} B a step"
    assert grown <= limit, message


def test_a_count_of_attempts_is_small() -> None:
    """A server has 10,000 of them only after as many requests, and is to be no larger then."""
    state: MemoryState[None] = MemoryState(Limits(max_attempts=1_000))
    session = state.open("", None)
    keys = [(number, f"{number:032x}") for number in range(1_000)]
    tracemalloc.start()
    try:
        for number, digest in keys:
            session.count(number, digest)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / len(keys) < 300, used / len(keys)


@pytest.mark.skipif(memory.trimmer() is None, reason="the C library is not glibc")
def test_a_heap_with_gaps_goes_back_to_the_system() -> None:
    code = "from tests.test_growth import measure_gaps; measure_gaps()"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    gaps, trimmed = json.loads(ran.stdout)
    assert gaps - trimmed > 25 * MB, (gaps / MB, trimmed / MB)


def measure_gaps() -> None:
    """The child process: prints its resident memory with 36 MB of gaps in its heap, before and after a trim."""
    blocks = [bytes(4_000) for _ in range(10_000)]
    blocks = blocks[::10]
    gaps = pages(STATM)
    memory.trim()
    print(json.dumps([gaps, pages(STATM)]))


def test_a_server_gives_memory_back_when_it_has_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trimmed() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(memory, "trim", lambda: loop.call_soon_threadsafe(done.set))
        task = asyncio.create_task(memory.keep_small())
        await done.wait()
        task.cancel()

    monkeypatch.setattr(memory, "EVERY", 0.0)
    asyncio.run(trimmed())


def test_a_server_process_does_not_keep_big_replies() -> None:
    n, limit = 2, 64 * MB
    with fakellm.spawn(LONG) as server, httpx2.Client(timeout=60) as client:
        memory = Path(f"/proc/{server.pid}/statm")

        def stream(number: int) -> None:
            body: dict[str, Any] = {"model": "m", "messages": user(number), "stream": True}
            with client.stream("POST", server.base_url + "/chat/completions", json=body) as response:
                last = b""
                for piece in response.iter_raw():
                    last = (last + piece)[-20:]
            assert b"[DONE]" in last

        readings = []
        for numbers in (range(n), range(n, 10 * n)):
            for number in numbers:
                stream(number)
            readings.append(pages(memory))
    first, last = readings
    assert last - first <= limit, f"{n} replies: {first / MB:.0f} MB; {10 * n}: {last / MB:.0f} MB"
